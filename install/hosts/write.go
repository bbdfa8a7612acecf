package hosts

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"durable/ipc/atomicfile"
)

// keep is how many backups of a file stay.
const keep = 3

// backupTime makes names that sort by time; no colon, for Windows.
const backupTime = "20060102T150405.000000000Z"

// replace puts text in the place of a file that holds before; nil: that is not there.
func replace(path string, before, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return wrap(err)
	}
	f, err := atomicfile.Create(path)
	if err != nil {
		return wrap(err)
	}
	defer f.Discard()
	if _, err := f.Write(text); err != nil {
		return wrap(err)
	}
	if err := errors.Join(likeness(f.File, path), f.Sync()); err != nil {
		return wrap(err)
	}
	if err := compare(path, before); err != nil { // as late as can be
		return err
	}
	return wrap(f.Commit())
}

// likeness gives a file the mode and the owner of the one at path, or those that a new configuration should have: such
// files hold other servers' keys. An owner that we may not set stays ours.
func likeness(f *os.File, path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return atomicfile.Chmod(f, 0o600)
	}
	if err != nil {
		return err
	}
	chown(f, info)
	return atomicfile.Chmod(f, info.Mode().Perm())
}

// compare wants the file to hold text; nil: not to be there.
func compare(path string, text []byte) error {
	now, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if text != nil {
			return errChanged
		}
		return nil
	case err != nil:
		return wrap(err)
	case text == nil || !bytes.Equal(now, text):
		return errChanged
	}
	return nil
}

func backups(path string) ([]string, error) {
	files, err := os.ReadDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		if strings.HasPrefix(f.Name(), filepath.Base(path)+".durable-") && strings.HasSuffix(f.Name(), ".bak") {
			names = append(names, filepath.Join(filepath.Dir(path), f.Name()))
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, nil
}

// readBackups reads those of a file, the last one first. One that cannot be read is no help, and no harm.
func readBackups(path string) ([][]byte, error) {
	names, err := backups(path)
	if err != nil {
		return nil, err
	}
	var texts [][]byte
	for _, name := range names {
		if text, err := os.ReadFile(name); err == nil {
			texts = append(texts, text)
		}
	}
	return texts, nil
}

// backup keeps text beside the file called path, with the mode of the one at real, and lets the oldest ones go.
func backup(path, real string, text []byte) error {
	name := path + ".durable-" + time.Now().UTC().Format(backupTime) + ".bak"
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, likeness(f, real), f.Sync(), f.Close()); err != nil {
		_ = os.Remove(name)
		return err
	}
	names, err := backups(path)
	if err != nil {
		return err
	}
	for _, old := range names[min(len(names), keep):] {
		_ = os.Remove(old) // the next time
	}
	return nil
}
