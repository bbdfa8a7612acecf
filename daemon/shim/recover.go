package shim

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"durable/daemon/shim/proc"
	"durable/daemon/shim/protocol"
	"durable/ipc/task"
)

const (
	// between is how long a holder may have the lock without having written "started": it reads a spec
	// that is whole already, or whose writer is gone, and syncs a file. After that the start is revoked.
	between = 2 * time.Second
	// glance is the pause between two looks meanwhile. It is rare, and short.
	glance = 2 * time.Millisecond
)

// Recover finds out what has become of the program that was started in dir under that nonce (empty: any). It may be
// called again at any time. An error means that this cannot be known now, or not by us; nothing was judged then.
func (l Launcher) Recover(ctx context.Context, dir, nonce string) (*Process, Verdict, error) {
	deadline := time.Now().Add(between)
	for {
		lock, err := protocol.TryLock(dir)
		if err == nil {
			defer func() { _ = lock.Close() }()
			return l.judge(dir, nonce)
		}
		if missing(err) { // the folder was never made, or was removed, and whatever runs has no part in that
			return l.notStarted(&Process{dir: dir, boot: l.Boot, groups: l.Groups})
		}
		if !errors.Is(err, protocol.ErrLocked) {
			return nil, "", task.Errorf(task.Unavailable, "lock %s: %w", dir, err)
		}
		late := time.Now().After(deadline)
		if late {
			if err := protocol.Write(dir, protocol.FileRevoked, nil, true); err != nil {
				return nil, "", task.Errorf(task.Unavailable, "revoke %s: %w", dir, err)
			}
		}
		s, err := readStarted(dir)
		if err == nil {
			p, err := l.adopt(dir, nonce, s)
			return p, Running, err
		}
		if !missing(err) {
			return nil, "", unreadable(dir, protocol.FileStarted, err)
		}
		if late { // the holder hangs; when it goes on it finds "revoked", and we would have seen its "started"
			return l.notStarted(&Process{dir: dir, boot: l.Boot, groups: l.Groups})
		}
		if err := pause(ctx, glance); err != nil {
			return nil, "", err
		}
	}
}

// notStarted is the verdict on a folder that tells of no start. One that was removed, or emptied, under a program tells of none either:
// so the processes are asked.
func (l Launcher) notStarted(p *Process) (*Process, Verdict, error) {
	p.result = ErrLost
	if p, verdict, err := l.alive(p); verdict != Lost {
		return p, verdict, err
	}
	p.result = ErrNotExecuted
	return p, NotStarted, nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// adopt returns the process of a holder that lives.
func (l Launcher) adopt(dir, nonce string, s protocol.Started) (*Process, error) {
	if err := sameStart(dir, nonce, s); err != nil {
		return nil, err
	}
	return &Process{dir: dir, boot: l.Boot, groups: l.Groups, spec: s}, nil
}

// sameStart refuses a folder that is not about the start that was asked about.
func sameStart(dir, nonce string, s protocol.Started) error {
	if nonce == "" || s.Nonce == nonce {
		return nil
	}
	return task.Errorf(task.FailedPrecondition, "%s is of another start: nonce %q, want %q", dir, s.Nonce, nonce).
		WithHint("it was left alone: was a backup restored over it?")
}

// judge says what a holder that is gone has left behind. The caller has the lock, so that no other comes; "revoked"
// holds off those that come later.
func (l Launcher) judge(dir, nonce string) (*Process, Verdict, error) {
	p := &Process{dir: dir, boot: l.Boot, groups: l.Groups}
	s, startErr := readStarted(dir)
	exit, exitErr := readFile(dir, protocol.FileExit, protocol.ParseExit)
	if err := ours(dir, nonce, s, startErr, exitErr); err != nil {
		return nil, "", err
	}
	if startErr == nil {
		p.spec = s
	} else if !missing(startErr) && p.unsynced() {
		startErr = fs.ErrNotExist
	}
	// A full disk is no reason to forget what has started: no holder starts anything where something was started.
	if err := protocol.Write(dir, protocol.FileRevoked, nil, true); err != nil && missing(startErr) && missing(exitErr) {
		return nil, "", task.Errorf(task.Unavailable, "revoke %s: %w", dir, err)
	}
	switch {
	case exitErr == nil:
		p.exit, p.done = exit, true
		return p, Ended, nil
	case !missing(exitErr):
		return p.setAside(protocol.FileExit)
	case exists(dir, protocol.FileExit+protocol.SuffixCorrupt):
		p.result = corrupt(dir, protocol.FileExit)
		return p, Lost, nil
	case startErr == nil && s.Boot != l.boot():
		p.result = ErrInterrupted
		return p, Interrupted, nil
	case startErr == nil:
		p.result = ErrLost
		return l.alive(p)
	case !missing(startErr):
		if _, _, err := p.setAside(protocol.FileStarted); err != nil {
			return nil, "", err
		}
		return l.alive(p)
	case exists(dir, protocol.FileStarted+protocol.SuffixCorrupt):
		p.result = corrupt(dir, protocol.FileStarted)
		return l.alive(p)
	}
	return l.notStarted(p)
}

// ours reports why a folder must be left alone: it is another's, a newer daemon's, or cannot be read now.
func ours(dir, nonce string, s protocol.Started, startErr, exitErr error) error {
	for name, err := range map[string]error{protocol.FileStarted: startErr, protocol.FileExit: exitErr} {
		if err != nil && !missing(err) && !errors.Is(err, protocol.ErrCorrupt) {
			return unreadable(dir, name, err)
		}
	}
	if startErr == nil {
		return sameStart(dir, nonce, s)
	}
	return nil
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func exists(dir string, names ...string) bool {
	for _, name := range names {
		if protocol.Exists(dir, name) {
			return true
		}
	}
	return false
}

// alive tells a program that runs without its holder from one that is gone.
func (l Launcher) alive(p *Process) (*Process, Verdict, error) {
	members, err := p.members()
	if err != nil {
		return nil, "", task.Errorf(task.Unavailable, "look for the processes of %s: %w", p.dir, err)
	}
	if len(members) == 0 {
		return p, Lost, nil
	}
	p.orphaned = true
	return p, Orphaned, nil
}

// looks is how often a tree is looked for that may be there and not be seen.
const looks = 25

// members looks for the processes of the attempt: where its control group has some, for no others but the program. Before its exec a process
// has the environment of its holder, and in the middle of it none: where there is no "child" to know it by, it takes several looks to
// believe that nobody is there.
func (p *Process) members() (members []proc.Process, err error) {
	if members := p.grouped(); len(members) > 0 {
		return members, nil
	}
	for range looks {
		members, err = p.tree().Members()
		if err != nil || len(members) > 0 || p.program().PID != 0 {
			break
		}
		time.Sleep(glance)
	}
	return members, err
}

// unsynced reports whether the machine went down while "started" was on its way to the disk, so that its name is there and
// not all of it: nothing had run then. A program that ran has left something, unless nobody can say anything.
func (p *Process) unsynced() bool {
	data, err := os.ReadFile(filepath.Join(p.dir, protocol.FileStarted))
	if err != nil || bytes.HasSuffix(data, []byte("\n")) ||
		exists(p.dir, protocol.FileChild, protocol.FileExit, protocol.FileExit+protocol.SuffixCorrupt) {
		return false
	}
	members, err := p.members()
	return err == nil && len(members) == 0
}

// setAside keeps a file that cannot be read out of the way, for people: what it says of the program is lost.
func (p *Process) setAside(name string) (*Process, Verdict, error) {
	path := filepath.Join(p.dir, name)
	err := os.Rename(path, path+protocol.SuffixCorrupt)
	if err == nil {
		err = protocol.SyncDir(p.dir)
	}
	if err != nil {
		return nil, "", task.Errorf(task.Unavailable, "set %s aside: %w", path, err)
	}
	p.result = corrupt(p.dir, name)
	return p, Lost, nil
}

func corrupt(dir, name string) error {
	return task.Errorf(task.Unavailable, "%s is corrupt, it was set aside as %s: %w", filepath.Join(dir, name), name+protocol.SuffixCorrupt, ErrLost)
}

func unreadable(dir, name string, err error) error {
	if errors.Is(err, protocol.ErrNewer) {
		return newer(dir, name)
	}
	return task.Errorf(task.Unavailable, "read %s: %w", filepath.Join(dir, name), err)
}

func newer(dir, name string) error {
	return task.Errorf(task.VersionSkew, "%s: %w of durable", filepath.Join(dir, name), protocol.ErrNewer).
		WithHint("it was left alone; run the newer durabled again")
}

// maxFile bounds a file of the protocol.
const maxFile = 1 << 20

func readFile[T any](dir, name string, parse func([]byte) (T, error)) (v T, err error) {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return v, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return v, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return v, protocol.ErrCorrupt
	}
	data := make([]byte, info.Size())
	if _, err := f.ReadAt(data, 0); err != nil {
		return v, err
	}
	return parse(data)
}

func readStarted(dir string) (protocol.Started, error) {
	return readFile(dir, protocol.FileStarted, protocol.ParseStarted)
}

func readChild(dir string) (protocol.Child, error) {
	return readFile(dir, protocol.FileChild, protocol.ParseChild)
}

// tree names the processes of the attempt without a holder. Where "started" is gone, the folder's path says which they are.
func (p *Process) tree() proc.Tree {
	marks := p.spec.Marks
	if marks == nil {
		marks = []string{
			protocol.MarkNames[0] + "=" + filepath.Base(filepath.Dir(p.dir)), protocol.MarkNames[1] + "=" + filepath.Base(p.dir),
		}
	}
	return proc.Tree{Child: p.program(), Marks: marks, Group: p.group()}
}
