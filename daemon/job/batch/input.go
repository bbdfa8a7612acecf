package batch

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"durable/daemon/job"
	"durable/ipc/task"
)

// format is what an input is made of.
type format string

const (
	formatLines   format = "lines"
	formatJSONL   format = "jsonl"
	formatCSV     format = "csv"
	formatGlob    format = "glob"
	formatNumbers format = "numbers"
)

func (f format) known() bool {
	return f == "" || slices.Contains([]format{formatLines, formatJSONL, formatCSV, formatGlob, formatNumbers}, f)
}

// handover is how items of f are given to a command that did not ask for it in another way.
func (f format) handover() handover {
	if f == formatJSONL || f == formatCSV {
		return asJSONL
	}
	return asLines
}

// Limits of what is read.
const (
	MaxItem  = 1 << 20  // bytes of one line or record
	MaxBatch = 16 << 20 // bytes of all items of a batch: as many batches as run at once are in memory
	MaxFiles = 1_000_000
)

// base is what people call an input.
func base(path string) string { return filepath.Base(path) }

// check looks at the input as far as that is quick, and settles its format.
func (p *params) check() error {
	if p.Format == formatNumbers {
		return nil
	}
	info, err := os.Stat(p.Input)
	if p.Format == formatGlob || p.Format == "" && errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(p.Input, "*?[") {
		p.Format = formatGlob
		_, err := matches(p.Input)
		return err
	}
	switch {
	case err != nil:
		return inputError(err, p.Input)
	case info.IsDir():
		return invalid("input: %s: a folder", p.Input).WithHint("name its files: %s", filepath.Join(p.Input, "*"))
	case !info.Mode().IsRegular():
		return invalid("input: %s: not a regular file", p.Input).WithHint("a batch must be read again after a restart: write the items into a file")
	case info.Size() == 0:
		return invalid("input: %s: empty", p.Input).WithHint("give a file with at least one item")
	}
	if p.Format == "" {
		p.Format, err = detect(p.Input)
	}
	if err == nil && p.Format == formatCSV {
		var r *csvReader
		if r, err = openCSV(p.Input, position{}); err == nil {
			err = r.close()
		}
	}
	return err
}

// detect tells the format of a file by its extension, else by its first line.
func detect(path string) (format, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".jsonl", ".ndjson":
		return formatJSONL, nil
	case ".csv", ".tsv":
		return formatCSV, nil
	case ".txt", ".list":
		return formatLines, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", inputError(err, path)
	}
	defer func() { _ = f.Close() }() // nothing was written
	first, err := bufio.NewReaderSize(f, 64<<10).ReadSlice('\n')
	if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
		return "", inputError(err, path)
	}
	if first = bytes.TrimSpace(first); len(first) > 0 && first[0] == '{' && json.Valid(first) {
		return formatJSONL, nil
	}
	return formatLines, nil
}

// matches returns the files that a pattern stands for, in order.
func matches(pattern string) ([]string, error) {
	if strings.Contains(pattern, "**") {
		return nil, invalid("input: %s: ** is not supported", pattern).WithHint("list the files yourself: find ... > files.txt, and give that with format=lines")
	}
	found, err := filepath.Glob(pattern)
	if err != nil {
		return nil, invalid("input: %s: %w", pattern, err).WithHint("* ? and [a-z] are the signs of a pattern")
	}
	files := found[:0]
	for _, path := range found {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			if !utf8.ValidString(path) {
				return nil, invalid("input: %s: the name %q is not UTF-8", pattern, path).WithHint("rename that file")
			}
			files = append(files, path)
		}
	}
	switch {
	case len(files) == 0:
		return nil, invalid("input: %s: no such file", pattern).WithHint("check the pattern; it is one of the machine on which the daemon runs")
	case len(files) > MaxFiles:
		return nil, invalid("input: %s: %d files, the limit is %d", pattern, len(files), MaxFiles).WithHint("write their names into a file and give that")
	}
	return files, nil
}

func fingerprintOf(path string) (job.Fingerprint, error) {
	print, err := job.FingerprintOf(path)
	return print, inputError(err, path)
}

func changed(path string) error {
	return task.Errorf(task.FailedPrecondition, "input %s: changed since the task began", path).
		WithHint("put the old file back and retry, or start anew with the new one")
}

// inputError says what an operating system's error about the input means.
func inputError(err error, path string) error {
	var known *task.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return task.Errorf(task.InvalidArgument, "input: %s: no such file", path).
			WithHint("check the path; it is a path of the machine on which the daemon runs")
	case errors.Is(err, fs.ErrPermission):
		return task.Errorf(task.PermissionDenied, "input: %s: permission denied", path).
			WithHint("the user as whom the daemon runs may not: ls -l %s shows who may", path)
	}
	return task.Errorf(task.Unavailable, "input: %w", err)
}
