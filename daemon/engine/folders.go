package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"durable/daemon/logfile"
	"durable/daemon/store"
	"durable/ipc/task"
)

// Below Config.TasksDir each task that has left anything there has a folder:
//
//	ID/                  the task's UUID
//	    1/log            what attempt 1 wrote; log.times, log.cut: see the package logfile
//	    1/stdout         and what else a kind's attempts write, its [task.KindInfo.Streams]; of a job.Survivor all that
//	                     its kind keeps of the attempt
//	    artifacts/       what the task left as its result
//	    work/            what it needs between attempts; a retry starts from a copy of its folder checkpoint/
//
//	    forgotten            somebody wants the task forgotten: see markForgotten
//
// A folder whose task the store does not know is moved into aside/, never deleted: it may belong to a
// store that was restored from an older backup. One that is marked as forgotten is deleted.
const (
	artifactsFolder = "artifacts"
	workFolder      = "work"
	asideFolder     = "aside"
	forgottenMark   = "forgotten"
	logName         = "log"
)

func (e *Engine) logPath(id task.ID, attempt int) string {
	return filepath.Join(e.taskFolder(id), strconv.Itoa(attempt), logName)
}

func (e *Engine) taskFolder(id task.ID) string { return filepath.Join(e.cfg.TasksDir, string(id)) }

// folder returns one of a task's folders, made if need be.
func (e *Engine) folder(id task.ID, name string) (string, error) {
	dir := filepath.Join(e.cfg.TasksDir, string(id), name)
	return dir, os.MkdirAll(dir, 0o700)
}

// markForgotten comes before the commit that forgets a task, and says of a folder whose task is then unknown that it
// may go: a crash between that commit and the folder's removal must not leave it for ever.
func (e *Engine) markForgotten(t task.Task) {
	if !t.Status.Terminal() {
		return
	}
	f, err := os.OpenFile(filepath.Join(e.taskFolder(t.ID), forgottenMark), os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // most tasks have no folder
		e.log.Warn("marking a folder that is to go", "task", t.Number, "error", err)
	}
}

// unmark takes the mark from a task that is not forgotten after all.
func (e *Engine) unmark(ref task.Ref) {
	if rec, err := e.record(ref); err == nil {
		os.Remove(filepath.Join(e.taskFolder(rec.Task.ID), forgottenMark))
	}
}

// removeFolder deletes what a forgotten task left. It comes after the commit; what a crash leaves here, the next
// sweep removes: the mark goes last.
func (e *Engine) removeFolder(id task.ID) error {
	e.folders.Lock()
	defer e.folders.Unlock()
	return e.removeFolderLocked(id)
}

func (e *Engine) removeFolderLocked(id task.ID) error {
	dir := e.taskFolder(id)
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		if err == nil && entry.Name() != forgottenMark {
			err = os.RemoveAll(filepath.Join(dir, entry.Name()))
		}
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = os.RemoveAll(dir)
	}
	if err != nil {
		return task.Errorf(task.Internal, "the task is forgotten, but its folder is not all gone: %w", err)
	}
	return nil
}

// sweep sets aside the folders of tasks that the store does not know, and removes those that were to go.
func (e *Engine) sweep() {
	entries, err := os.ReadDir(e.cfg.TasksDir)
	e.swept.Store(true)
	if err != nil {
		return // no folder yet: nothing to sweep
	}
	for _, entry := range entries {
		name := entry.Name()
		if kind, err := task.Ref(name).Parse(); err != nil || kind != task.RefID {
			continue
		}
		if _, err := e.record(task.Ref(name)); errors.Is(err, task.NotFound) {
			e.sweepOne(name)
		}
	}
}

// sweepOne sees to a folder whose task is unknown, if it is not being removed just now.
func (e *Engine) sweepOne(name string) {
	e.folders.Lock()
	defer e.folders.Unlock()
	dir := filepath.Join(e.cfg.TasksDir, name)
	if !exists(dir) {
		return
	}
	if exists(filepath.Join(dir, forgottenMark)) {
		if err := e.removeFolderLocked(task.ID(name)); err != nil {
			e.log.Warn("removing the folder of a forgotten task", "task", name, "error", err)
		}
		return
	}
	if removeEmpty(dir) { // a crash came after the mark had gone, or before the commit of a first attempt: nothing is lost
		return
	}
	aside := filepath.Join(e.cfg.TasksDir, asideFolder)
	err := os.MkdirAll(aside, 0o700)
	if err == nil {
		err = os.Rename(dir, filepath.Join(aside, name))
	}
	e.log.Warn("set aside the folder of a task that the store does not know", "task", name, "error", err)
}

// removeEmpty removes the folder of a task that holds nothing, and reports whether it did. Empty folders are nothing, and so are empty files
// in those of attempts: see [job.Furnisher].
func removeEmpty(dir string) bool {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		folder := filepath.Dir(path)
		_, err = strconv.Atoi(filepath.Base(folder))
		if info, gone := d.Info(); err != nil || gone != nil || info.Size() > 0 || filepath.Dir(folder) != dir {
			return fs.ErrExist
		}
		return nil
	})
	return err == nil && os.RemoveAll(dir) == nil
}

// A walk over the tasks' folders is good for a moment, and for longer where it is a long one: it may take a share of
// the time that lies between two, and no figure is older than measureEvery.
const (
	measureAtMost = time.Second
	measureEvery  = 30 * time.Second
	measureShare  = 50
)

// diskMeter measures what the state folder uses. It walks on demand only.
type diskMeter struct {
	root string

	mu    sync.Mutex
	next  time.Time // when it is walked again
	tasks int64
}

func (m *diskMeter) measure(storeBytes int64) task.Disk {
	m.mu.Lock()
	defer m.mu.Unlock()
	if begin := time.Now(); !begin.Before(m.next) {
		m.tasks = folderSize(m.root)
		m.next = time.Now().Add(min(measureEvery, max(measureAtMost, measureShare*time.Since(begin))))
	}
	free := store.FreeSpace(filepath.Dir(m.root))
	return task.Disk{Store: storeBytes, Tasks: m.tasks, Free: free}
}

// folderSize is what the files below root take on the disk: less than their lengths where they have holes.
func folderSize(root string) (total int64) {
	_ = filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // what goes away while we look does not count
		}
		if info, err := d.Info(); err == nil {
			total += logfile.Allocated(info)
		}
		return nil
	})
	return total
}
