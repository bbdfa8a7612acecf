package batch

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"

	"durable/ipc/task"
)

// Names of the artifacts.
const (
	outputName = "output.jsonl"
	failedName = "failed.jsonl"
)

// output is a file that grows in order. It lies in the task's checkpoint folder, which a repetition of the task gets a copy of, and
// has a second name among the artifacts.
type output struct {
	f    *os.File
	w    *bufio.Writer
	size int64
}

// openOutput opens a file that was durable up to size, and cuts off what is behind.
func openOutput(dir, artifacts, name string, size int64) (*output, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, recordError(err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() < size {
		err = task.Errorf(task.FailedPrecondition, "%s in the task's folder has %d bytes, and had %d", name, info.Size(), size).
			WithHint("start the task anew: durablectl retry --fresh")
	}
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err == nil {
		err = share(f, info, filepath.Join(artifacts, name))
	}
	if err != nil {
		return nil, errors.Join(recordError(err), f.Close())
	}
	return &output{f: f, w: bufio.NewWriterSize(f, 64<<10), size: size}, nil
}

// share gives a file a second name. Where the file system knows no such thing, publish copies it at the end.
func share(f *os.File, info os.FileInfo, name string) error {
	if there, err := os.Stat(name); err == nil {
		if os.SameFile(info, there) {
			return nil
		}
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	_ = os.Link(f.Name(), name)
	return nil
}

func (o *output) write(b []byte) error {
	n, err := o.w.Write(b)
	o.size += int64(n)
	return recordError(err)
}

func (o *output) flush() error { return recordError(o.w.Flush()) }

// publish makes sure that the file is among the artifacts, whole.
func (o *output) publish(artifacts string) error {
	name := filepath.Join(artifacts, filepath.Base(o.f.Name()))
	info, err := o.f.Stat()
	if err != nil {
		return recordError(err)
	}
	if there, err := os.Stat(name); err == nil && os.SameFile(info, there) {
		return nil
	}
	to, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return recordError(err)
	}
	_, err = io.Copy(to, io.NewSectionReader(o.f, 0, o.size))
	if err == nil {
		err = to.Sync()
	}
	return recordError(errors.Join(err, to.Close()))
}
