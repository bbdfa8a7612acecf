package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"durable/daemon/shim/protocol"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// store: that every page and record can be read.
func (v *visit) store(ctx context.Context) []Finding {
	if v.info != nil {
		return one(v.checkCopy(ctx))
	}
	info, err := os.Stat(v.Paths.Store)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return one(ok("none yet, at %s", v.Paths.Store))
	case errors.Is(err, fs.ErrPermission) && v.Paths.System:
		return one(ok("not looked into: it is the system service's (%s does)", asRoot))
	case err != nil:
		return one(failed(err, "ls -l "+v.Paths.Store))
	}
	return one(v.check(ctx, v.Paths.Store, info.Size()))
}

// checkCopy checks a backup: the daemon holds the file itself.
func (v *visit) checkCopy(ctx context.Context) Finding {
	dir, err := os.MkdirTemp(v.info.Paths.State, ".doctor-")
	if errors.Is(err, fs.ErrPermission) {
		return ok("not looked into: %s is not yours (%s does)", v.info.Paths.State, asRoot)
	}
	if err != nil {
		return failed(err, "")
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if v.Paths.System {
		if err := handOver(dir, v.info.Paths.State); err != nil { // the daemon is another user
			return failed(err, "")
		}
	}
	file := filepath.Join(dir, "store.db")
	backup, err := v.Client.Backup(ctx, task.BackupRequest{Path: file})
	if err != nil {
		return failed(err, "durablectl backup FILE")
	}
	return v.check(ctx, file, backup.Bytes)
}

func (v *visit) check(ctx context.Context, file string, size int64) Finding {
	program, err := v.Find("durabled")
	if err != nil {
		return failed(err, "")
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, "check", file)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		text, hint, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(stderr.String()), "durabled: error: "), "\nhint: ")
		if hint == "" {
			hint = "keep " + v.Paths.Store + ", and restore a backup: durabled restore FILE"
		}
		return failure(hint, "%s", exited(err, text))
	}
	var checked struct{ Tasks int }
	if err := json.Unmarshal(stdout.Bytes(), &checked); err != nil {
		return failure("install all four programs anew, from one version", "durabled check says %.80q", stdout.String())
	}
	return ok("every page and record is sound; tasks: %s, size: %s", humanize.Comma(int64(checked.Tasks)), humanize.IBytes(uint64(max(0, size))))
}

// Below these the disk is nearly full, and full.
const (
	lowDisk  = 1 << 30
	fullDisk = 64 << 20
)

// disk: that there is room where the state is.
func (v *visit) disk(context.Context) []Finding {
	free, dir := int64(-1), v.Paths.State
	if v.info != nil {
		free, dir = v.info.Disk.Free, v.info.Paths.State
	} else {
		free = freeAt(existing(dir))
	}
	text := humanize.IBytes(uint64(max(0, free))) + " free for " + dir
	const remedy = "durablectl prune removes ended tasks; or make room"
	switch {
	case free < 0:
		return one(warning("df -h "+dir, "how much is free for %s is not known", dir))
	case free < fullDisk:
		return one(failure(remedy, "%s: no tasks are taken", text))
	case free < lowDisk:
		return one(warning(remedy, "only %s", text))
	}
	return one(ok("%s", text))
}

// existing is the folder, or the nearest one above it that is there.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// skew is how far the clock may be behind the newest task.
const skew = 5 * time.Second

// epoch is before durable was first built.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clock: that it has not gone back; schedules and retention go by it.
func (v *visit) clock(ctx context.Context) []Finding {
	now := v.Now()
	const remedy = "set the clock, and have it kept (timedatectl set-ntp true)"
	if now.Before(epoch) {
		return one(failure(remedy, "it says %s", now.Format(time.RFC3339)))
	}
	if v.info != nil {
		list, err := v.Client.List(ctx, task.ListQuery{Limit: 1})
		if err != nil {
			return one(failed(err, "durablectl list"))
		}
		for _, t := range list.Tasks {
			if ahead := t.CreatedAt.Sub(now); ahead > skew {
				return one(failure(remedy, "it went back: task %d was made %s in the future", t.Number, ahead.Round(time.Second)))
			}
		}
	}
	return one(ok("%s", now.Format(time.RFC3339)))
}

// maxFolders bounds how many tasks are asked about.
const maxFolders = 1000

// holders: that no durable-shim holds a program of a task that has ended, or that nobody knows.
func (v *visit) holders(ctx context.Context) []Finding {
	if v.info == nil {
		return one(ok("not looked for: no daemon runs that knows the tasks"))
	}
	tasks := filepath.Join(v.info.Paths.State, "tasks")
	folders, err := os.ReadDir(tasks)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return one(ok("not looked for: %s is not yours (%s does)", tasks, asRoot))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return one(failed(err, ""))
	}
	var found []Finding
	for _, f := range folders[max(0, len(folders)-maxFolders):] {
		t, err := v.Client.Get(ctx, task.Ref(f.Name()))
		switch {
		case errors.Is(err, task.NotFound):
		case err != nil:
			continue // no task's folder
		case t.Phase == task.PhaseOrphaned:
			found = append(found, warning("durablectl cancel "+numbered(t), "task %d runs without a holder: how it ends will not be known", t.Number))
			continue
		case !t.Status.Terminal():
			continue
		}
		if heldBelow(filepath.Join(tasks, f.Name())) {
			found = append(found, warning("end the process durable-shim that has it open", "a program of %s is held, though its task has ended", filepath.Join(tasks, f.Name())))
		}
	}
	if len(found) == 0 {
		return one(ok("none without a task"))
	}
	return found
}

func heldBelow(dir string) bool {
	attempts, _ := os.ReadDir(dir)
	for _, a := range attempts {
		lock, err := socket.TryExisting(filepath.Join(dir, a.Name(), protocol.FileLock))
		if errors.Is(err, socket.ErrLocked) {
			return true
		}
		if err == nil {
			_ = lock.Unlock()
		}
	}
	return false
}
