package logfile

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"time"
)

// maxTimes is the size of NAME.times at which it is thinned.
const maxTimes = 1 << 20

// Mark says that all bytes before Offset were written by Time.
type Mark struct {
	Offset int64
	Time   time.Time
}

func (m Mark) append(b []byte) []byte {
	b = strconv.AppendInt(b, m.Offset, 10)
	b = append(b, ' ')
	b = m.Time.UTC().Truncate(time.Millisecond).AppendFormat(b, time.RFC3339Nano)
	return append(b, '\n')
}

// ParseMark reads a line of NAME.times, without its end.
func ParseMark(line []byte) (Mark, bool) {
	offset, stamp, ok := bytes.Cut(line, []byte{' '})
	if !ok || len(offset) == 0 || offset[0] < '0' || offset[0] > '9' {
		return Mark{}, false
	}
	n, err := strconv.ParseInt(string(offset), 10, 64)
	if err != nil {
		return Mark{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(stamp))
	return Mark{n, t}, err == nil
}

// mark writes a mark for all there is. What a full disk leaves of one is overwritten by the next.
func (k *Keeper) mark(now time.Time) error {
	k.marked, k.markedAt = k.size, now // also if that fails: there is no use in trying again at once
	line := Mark{k.size, now}.append(make([]byte, 0, 64))
	path := k.path + TimesSuffix
	if k.times+int64(len(line)) > maxTimes {
		if err := k.thin(); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(line, k.times)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		k.times += int64(len(line))
	}
	return err
}

// thin drops every second mark.
func (k *Keeper) thin() error {
	path := k.path + TimesSuffix
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	kept := thinned(b[:min(int64(len(b)), k.times)])
	if err := replace(path, kept, false); err != nil {
		return err
	}
	k.times = int64(len(kept))
	return nil
}

// thinned returns every second line of b, the last one among them.
func thinned(b []byte) []byte {
	keep := bytes.Count(b, []byte{'\n'})%2 != 0
	kept := make([]byte, 0, len(b)/2+64)
	for line := range bytes.Lines(b) {
		if keep && line[len(line)-1] == '\n' {
			kept = append(kept, line...)
		}
		keep = !keep
	}
	return kept
}

// lastMark returns where the next mark goes in the file at path, and the offset that the last one has.
func lastMark(path string) (end, offset int64) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return 0, 0
	}
	begin := max(0, info.Size()-256)
	b := make([]byte, info.Size()-begin)
	if _, err := f.ReadAt(b, begin); err != nil && !errors.Is(err, io.EOF) {
		return 0, 0
	}
	b = b[:bytes.LastIndexByte(b, '\n')+1]
	if len(b) == 0 {
		return 0, 0
	}
	line := b[:len(b)-1]
	m, _ := ParseMark(line[bytes.LastIndexByte(line, '\n')+1:])
	return begin + int64(len(b)), m.Offset
}
