package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"durable/daemon/store"
	"durable/ipc/atomicfile"
	"durable/ipc/task"
)

// A task that goes on with the work of another one starts from a copy of that one's checkpoint folder, as from a copy
// of its checkpoint in the store. The copy is made before its first Run, not when it is submitted: it may be large.
// A crash on the way is no harm: the copy grows under another name, and inheritedMark says that there is nothing
// left to do, also when the job has removed the folder since.
const (
	checkpointFolder = "checkpoint"
	inheritedMark    = ".inherited"
	inheritedPart    = ".checkpoint.part"
)

// inherit copies the checkpoint folder that t goes on from, once.
func (e *Engine) inherit(ctx context.Context, t task.Task) error {
	if !continues(t) || e.hasInherited(t.ID) {
		return nil
	}
	from := e.heritage(t)
	if from == "" {
		return nil
	}
	work, err := e.folder(t.ID, workFolder)
	if err != nil {
		return folderError(err)
	}
	to := filepath.Join(work, checkpointFolder)
	if !exists(to) {
		part := filepath.Join(work, inheritedPart)
		if err := copyFolder(ctx, from, part); err != nil {
			return err
		}
		if err := errors.Join(os.Rename(part, to), atomicfile.SyncDir(work)); err != nil {
			return folderError(err)
		}
	}
	return folderError(os.WriteFile(filepath.Join(work, inheritedMark), nil, 0o600))
}

// continues reports whether t goes on with the work of the task that it repeats.
func continues(t task.Task) bool { return t.RetryOf != "" && t.RootID != t.ID }

// heritage finds what t goes on from: the folder of the task that it repeats or, where that one never got so far as
// to have its own, of the one before. Empty: there is nothing.
func (e *Engine) heritage(t task.Task) string {
	for continues(t) {
		old, err := e.record(t.RetryOf.Ref())
		if err != nil {
			return "" // forgotten; heirs have kept it from that as long as there was something to lose
		}
		if dir := e.checkpointDir(old.Task.ID); exists(dir) {
			return dir
		}
		if e.hasInherited(old.Task.ID) {
			return "" // it had the folder, and has removed it
		}
		t = old.Task
	}
	return ""
}

func (e *Engine) checkpointDir(id task.ID) string {
	return filepath.Join(e.cfg.TasksDir, string(id), workFolder, checkpointFolder)
}

func (e *Engine) hasInherited(id task.ID) bool {
	return exists(filepath.Join(e.cfg.TasksDir, string(id), workFolder, inheritedMark))
}

// heirs refuses to remove a task whose checkpoint folder another one is yet to start from.
func (e *Engine) heirs(tx *store.Tx, t task.Task) error {
	if !exists(e.checkpointDir(t.ID)) {
		return nil
	}
	line, err := tx.List(task.ListQuery{Root: t.RootID, Status: task.Unfinished, Limit: 2})
	if err != nil {
		return err
	}
	for _, heir := range line.Tasks {
		if continues(heir) && !e.hasInherited(heir.ID) {
			return task.Errorf(task.FailedPrecondition, "task %d is to go on from the checkpoint of task %d, and has not begun", heir.Number, t.Number).
				WithHint("wait for it, or durablectl cancel %d", heir.Number)
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// folderError says that a task's folder cannot be written.
func folderError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the task's folder: %w", err)
}

// copyFolder makes to a synced copy of from, whatever is there under that name. Links are copied as such; what is
// neither folder, file nor link (a socket of a program that has ended) is left out.
func copyFolder(ctx context.Context, from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return folderError(err)
	}
	var folders []string
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		switch {
		case d.IsDir():
			folders = append(folders, target)
			return os.Mkdir(target, 0o700)
		case d.Type() == fs.ModeSymlink:
			dest, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(dest, target)
		case d.Type().IsRegular():
			return copyFile(path, target)
		}
		return nil
	})
	for _, dir := range folders {
		if err == nil {
			err = atomicfile.SyncDir(dir)
		}
	}
	if err != nil {
		return fmt.Errorf("copy the checkpoint folder of the task before: %w", err)
	}
	return nil
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm()&0o700|0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}
