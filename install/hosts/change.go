package hosts

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"durable/ipc/task"
)

// maxSize bounds what is read: nobody's configuration is larger.
const maxSize = 64 << 20

// attempts bounds how often a change is made anew because the host has written its file in between.
const attempts = 8

// Change is what would become of one file.
type Change struct {
	Host Host
	File File
	// Before and After are the texts; nil is a file that is not there.
	Before, After []byte
	// Was is the entry that was there.
	Was *Entry
	// entry is what is added; nil: it is removed.
	entry *Entry
}

// Same reports whether there is nothing to do.
func (c Change) Same() bool {
	return bytes.Equal(c.Before, c.After) && (c.Before == nil) == (c.After == nil)
}

// PlanAdd says what becomes of the file with the entry in it.
func PlanAdd(h Host, f File, e Entry) (Change, error) {
	c := Change{Host: h, File: f, entry: &e}
	return c, c.plan()
}

// PlanRemove says what becomes of the file without the entry.
func PlanRemove(h Host, f File) (Change, error) {
	c := Change{Host: h, File: f}
	return c, c.plan()
}

// Look returns the entry that a file holds; nil: none.
func Look(h Host, f File) (*Entry, error) {
	text, err := readFile(f.Path)
	if err != nil {
		return nil, err
	}
	return look(h, f, text)
}

func look(h Host, f File, text []byte) (*Entry, error) {
	e, there, err := h.document().find(text)
	if err != nil {
		return nil, refused(f.Path, err)
	}
	if !there {
		return nil, nil
	}
	return &e, nil
}

func (c *Change) plan() error {
	text, err := readFile(c.File.Path)
	if err != nil {
		return err
	}
	return c.on(text)
}

// on plans the change on the file's text.
func (c *Change) on(text []byte) (err error) {
	c.Before = text
	if c.Was, err = look(c.Host, c.File, text); err != nil {
		return err
	}
	d := c.Host.document()
	switch {
	case c.entry != nil:
		c.After, err = d.add(text, *c.entry)
	case c.Was == nil:
		c.After = text
	default:
		c.After, err = c.without(d, text)
	}
	if err != nil {
		return refused(c.File.Path, err)
	}
	return nil
}

// without is the text that was there before add.
func (c *Change) without(d document, text []byte) ([]byte, error) {
	known, err := readBackups(c.File.Path)
	if err != nil {
		return nil, err
	}
	after, err := d.remove(text, known)
	if err != nil {
		return nil, err
	}
	for _, old := range known {
		if bytes.Equal(old, after) {
			return after, nil
		}
	}
	if d.becomes(nil, *c.Was, text) { // all of it is ours
		return nil, nil
	}
	return after, nil
}

// refused says that a file is left alone.
func refused(path string, err error) error {
	var unread errUnread
	if errors.As(err, &unread) {
		return task.Errorf(task.FailedPrecondition, "%s: %w; nothing was changed", path, err)
	}
	return task.Errorf(task.Internal, "%s: %w; nothing was changed", path, err)
}

// readFile reads a file; one that is not there is nil.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(path); err == nil {
			return nil, task.Errorf(task.FailedPrecondition, "%s is a link that leads nowhere; nothing was changed", path)
		}
		return nil, nil
	case err != nil:
		return nil, task.Errorf(task.FailedPrecondition, "%w; nothing was changed", err)
	case !info.Mode().IsRegular():
		return nil, task.Errorf(task.FailedPrecondition, "%s is no file; nothing was changed", path)
	case info.Size() > maxSize:
		return nil, task.Errorf(task.FailedPrecondition, "%s has %d MiB: that is no configuration; nothing was changed", path, info.Size()>>20)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, task.Errorf(task.FailedPrecondition, "%w; nothing was changed", err)
	}
	if text == nil {
		text = []byte{}
	}
	return text, nil
}

// Apply makes the change. When the file is no longer what was read, it is planned anew on what is there: the entry is
// the same, and what the host has written stays. c is then what was made.
func (c *Change) Apply() error {
	for range attempts {
		if c.Same() {
			return nil
		}
		err := c.write()
		if !errors.Is(err, errChanged) {
			return err
		}
		if err := c.plan(); err != nil {
			return err
		}
	}
	return task.Errorf(task.Unavailable, "%s: another program writes it all the time; nothing was changed", c.File.Path).
		WithHint("close %s and try again", c.Host.Title)
}

// errChanged is that of a file that is no longer what was read.
var errChanged = errors.New("the file has changed")

func (c *Change) write() error {
	path := c.File.Path
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if c.After == nil {
		if err := compare(path, c.Before); err != nil {
			return err
		}
		return wrap(os.Remove(path))
	}
	if c.Before != nil {
		if err := backup(c.File.Path, path, c.Before); err != nil {
			return wrap(err)
		}
	}
	return replace(path, c.Before, c.After)
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return task.Errorf(task.FailedPrecondition, "%w", err)
}
