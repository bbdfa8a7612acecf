package migration

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"durable/ipc/atomicfile"
	"durable/ipc/task"
)

// publish gives the partial file the destination's name. Until then the old file, if there is one, is
// untouched. A crash can lie between any two steps: each finds out whether it was taken before.
func (s *fileSink) publish(_ context.Context, st *state) error {
	if err := s.close(); err != nil {
		return err
	}
	part, err := os.Stat(s.part)
	if errors.Is(err, os.ErrNotExist) {
		return s.published(st)
	}
	if err != nil {
		return fileError(err, "partial file", s.part)
	}
	if s.p.Mode == modeCreate {
		err = s.link(part)
	} else {
		err = s.replace(part, st)
	}
	if err == nil {
		err = s.hook("renamed")
	}
	if err != nil {
		return fileError(err, "destination", s.path)
	}
	return fileError(atomicfile.SyncDir(filepath.Dir(s.path)), "folder", filepath.Dir(s.path))
}

// published reports whether the destination is what an earlier attempt has published.
func (s *fileSink) published(st *state) error {
	info, err := os.Stat(s.path)
	if err == nil && info.Size() == st.File.Length {
		return fileError(atomicfile.SyncDir(filepath.Dir(s.path)), "folder", filepath.Dir(s.path))
	}
	return task.Errorf(task.FailedPrecondition, "destination %s: removed or changed since it was written", s.path).
		WithHint("start the migration anew")
}

// link makes the new name without ever taking one that somebody else made meanwhile.
func (s *fileSink) link(part os.FileInfo) error {
	err := os.Link(s.part, s.path)
	if err == nil {
		if err := s.hook("linked"); err != nil {
			return err
		}
		return os.Remove(s.part)
	}
	if !errors.Is(err, os.ErrExist) {
		return s.renameNew()
	}
	if there, err := os.Stat(s.path); err == nil && os.SameFile(part, there) {
		return os.Remove(s.part) // the crash lay between link and remove
	}
	return exists(s.path)
}

// renameNew is for file systems without hard links.
func (s *fileSink) renameNew() error {
	if _, err := os.Lstat(s.path); err == nil {
		return exists(s.path)
	}
	return os.Rename(s.part, s.path)
}

func (s *fileSink) replace(part os.FileInfo, st *state) error {
	old, err := os.Stat(s.path)
	switch {
	case errors.Is(err, os.ErrNotExist) && st.File.Old == nil:
		return os.Rename(s.part, s.path)
	case errors.Is(err, os.ErrNotExist):
		return changed(s.path)
	case err != nil:
		return err
	}
	if s.p.Mode == modeAppend {
		now, err := fileFingerprint(s.path)
		if err != nil {
			return err
		}
		if st.File.Old == nil || now != *st.File.Old {
			return changed(s.path)
		}
	}
	if part.Mode().Perm() != old.Mode().Perm() {
		if err := os.Chmod(s.part, old.Mode().Perm()); err != nil {
			return err
		}
	}
	return os.Rename(s.part, s.path)
}

func exists(path string) error {
	return task.Errorf(task.FailedPrecondition, "destination %s: exists already", path).
		WithHint("mode=replace overwrites it, mode=append adds to it; or name another destination")
}
