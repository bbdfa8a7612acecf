package shim

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"durable/daemon/shim/proc"
	"durable/daemon/shim/protocol"
	"durable/ipc/task"
)

// program is the name of the holder's executable.
const program = "durable-shim"

// answerPatience is how long a holder may take to start a program: two fsyncs. One that takes longer is killed.
const answerPatience = time.Minute

// holderEnv is all of a holder's environment: a small heap and one thread at a time. The program has its own.
var holderEnv = []string{"GOGC=10", "GOMAXPROCS=1"}

// Start runs in dir, the attempt's folder, which exists and in which nothing was started before, what spec returns: that is
// called while the holder's process comes up, which takes as long. Start returns when the program runs, or why it does
// not: an error that is ErrNotExecuted. Where ctx ends before the holder has its spec, nothing was run either, and the error
// is ctx's cause too; where it ends later, the holder has a moment to answer, and after any other error only Recover can tell
// what has become of the start.
func (l Launcher) Start(ctx context.Context, dir string, spec func() (Spec, error)) (*Process, error) {
	l.hook(PointBefore)
	if protocol.Exists(dir, protocol.FileStarted) || protocol.Exists(dir, protocol.FileRevoked) {
		return nil, task.Errorf(task.FailedPrecondition, "%s was used before: %w", dir, ErrNotExecuted).
			WithHint("each attempt has a folder of its own")
	}
	path, err := l.find()
	if err != nil {
		return nil, err
	}
	h, furnished, err := l.holder(path, dir)
	if err != nil {
		return nil, task.Errorf(task.Unavailable, "start %s: %w: %w", path, err, ErrNotExecuted)
	}
	l.hook(PointSpawned)
	if !furnished {
		protocol.Furnish(dir) // while the holder's process comes up
	}
	group := l.Groups.make(dir)
	p, err := l.give(ctx, path, dir, h, spec, group)
	if errors.Is(err, ErrNotExecuted) {
		l.Groups.remove(group, 0)
	}
	return p, err
}

// give has a holder run what spec returns. One that was ready and has died before that is replaced.
func (l Launcher) give(ctx context.Context, path, dir string, h *held, spec func() (Spec, error), group protocol.Group) (*Process, error) {
	s, err := h.prepare(spec)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrNotExecuted)
	}
	s.Group = group
	p, err := l.run(ctx, dir, h, s)
	if h.spare && errors.Is(err, errSpareGone) && ctx.Err() == nil {
		if h, err = spawn(path, dir); err != nil {
			return nil, task.Errorf(task.Unavailable, "start %s: %w: %w", path, err, ErrNotExecuted)
		}
		p, err = l.run(ctx, dir, h, s)
	}
	if err == nil {
		l.Spare.renew(path, l.hook)
	}
	return p, err
}

// Furnish makes dir, in a folder that exists, and has the spare get ready there for a Start. As long as that has not come all files in dir are
// empty, and nothing is lost with them. What cannot be done, Start does, or says why.
func (l Launcher) Furnish(dir string) {
	path, err := l.find()
	if err == nil && l.Spare != nil {
		l.Spare.furnish(path, dir)
		return
	}
	_ = os.Mkdir(dir, 0o700)
}

// holder returns one for dir that waits for its spec, the spare or a new one, and whether dir has its files already.
func (l Launcher) holder(path, dir string) (*held, bool, error) {
	h, furnished := l.Spare.take(path, dir)
	if h != nil {
		return h, furnished, nil
	}
	h, err := spawn(path, dir)
	return h, furnished, err
}

// errSpareGone: a spare has died before it started anything.
var errSpareGone = fmt.Errorf("the holder that was ready has died: %w", ErrNotExecuted)

// run gives the holder h its spec, and says what has come of it.
func (l Launcher) run(ctx context.Context, dir string, h *held, spec Spec) (*Process, error) {
	if spec.Version == 0 {
		spec.Version = protocol.Version
	}
	sent := h.send(ctx, spec.Append())
	l.hook(PointSpecSent)
	reply, err := h.answer(ctx)
	l.hook(PointUp)
	if err == nil && reply.Refusal == "" {
		return &Process{dir: dir, boot: l.Boot, groups: l.Groups, holder: h.child, child: reply.Child, spec: started(spec, h.child.pid())}, nil
	}
	if err != nil && sent == nil && ctx.Err() != nil { // it may be about to run the program: not ours to kill
		return nil, task.Errorf(task.Unavailable, "%w before the holder of %s has answered", context.Cause(ctx), spec.Path)
	}
	h.end()
	switch {
	case err == nil && reply.Refusal == protocol.RefusedSpec && sent != nil:
		return nil, task.Errorf(task.Unavailable, "start %s: %w: %w", spec.Path, sent, ErrNotExecuted)
	case err == nil:
		return nil, refused(reply, spec)
	case h.spare && !protocol.Exists(dir, protocol.FileStarted) && !protocol.Exists(dir, protocol.FileExit):
		return nil, errSpareGone // it was reaped: what it has not begun by now, it never will
	}
	return l.unanswered(ctx, dir, spec, errors.Join(sent, err))
}

func check(spec Spec) error {
	switch {
	case len(spec.Args) == 0 || !filepath.IsAbs(spec.Path):
		return task.Errorf(task.InvalidArgument, "program %q: want an absolute path and arguments", spec.Path)
	case protocol.Marks(spec.Env) == nil:
		return task.Errorf(task.Internal, "the environment has no %v", protocol.MarkNames)
	}
	return nil
}

// find returns the path of the holder's executable.
func (l Launcher) find() (string, error) {
	if l.Program != "" {
		return l.Program, nil
	}
	name := program
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if self, err := os.Executable(); err == nil {
		if path := filepath.Join(filepath.Dir(self), name); isFile(path) {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", task.Errorf(task.FailedPrecondition, "%s is neither beside the daemon nor on its PATH: %w", name, ErrNotExecuted).
			WithHint("install %s into the folder of durabled", name)
	}
	return path, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// held is a holder that has not answered yet.
type held struct {
	child   *child
	in, out *os.File
	spare   bool // it was there before the start
}

// spawn starts a holder that waits for its spec; arg is its folder, or protocol.ArgSpare.
func spawn(path, arg string) (*held, error) {
	specOut, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = specOut.Close() }()
	out, replyIn, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	defer func() { _ = replyIn.Close() }()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	defer func() { _ = null.Close() }()
	c, err := startProcess(path, []string{path, arg}, [3]*os.File{specOut, replyIn, null})
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	return &held{child: c, in: in, out: out}, nil
}

// prepare calls spec while the holder's process comes up. Without a spec, be it for a panic, the holder is ended: it would wait for it.
func (h *held) prepare(spec func() (Spec, error)) (s Spec, err error) {
	ready := false
	defer func() {
		if !ready {
			h.abandon()
		}
	}()
	if s, err = spec(); err == nil {
		err = check(s)
	}
	ready = err == nil
	return s, err
}

// send gives the holder its spec. Closing the pipe ends it; where ctx ends it before, the holder leaves.
func (h *held) send(ctx context.Context, spec []byte) error {
	// One that a signal has stopped would never read.
	_ = h.in.SetWriteDeadline(time.Now().Add(answerPatience))
	stop := context.AfterFunc(ctx, func() { _ = h.in.SetWriteDeadline(time.Now()) })
	defer stop()
	_, err := h.in.Write(spec)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return errors.Join(err, h.in.Close())
}

// lastAnswer is how long a holder has to answer whose daemon leaves, or has to end the program anyway.
const lastAnswer = time.Second

// answer waits for the holder's line.
func (h *held) answer(ctx context.Context) (protocol.Reply, error) {
	_ = h.out.SetReadDeadline(time.Now().Add(answerPatience))
	stop := context.AfterFunc(ctx, func() { _ = h.out.SetReadDeadline(time.Now().Add(lastAnswer)) })
	defer stop()
	line, err := bufio.NewReaderSize(h.out, 64<<10).ReadSlice('\n')
	closed := h.out.Close()
	if err != nil {
		return protocol.Reply{}, errors.Join(errors.New("the holder gave no answer"), err, closed)
	}
	return protocol.ParseReply(line)
}

// abandon ends a holder that has no spec.
func (h *held) abandon() {
	_, _ = h.in.Close(), h.out.Close()
	h.end()
}

// end makes sure that a holder that has not started anything, or does not say so, is gone.
func (h *held) end() {
	h.child.kill()
	h.child.reap()
}

// refused is the error of a holder that has said that it runs nothing.
func refused(r protocol.Reply, spec Spec) error {
	code, hint := task.FailedPrecondition, ""
	switch r.Refusal {
	case protocol.RefusedExec:
		hint = execHint(r.Message)
	case protocol.RefusedVersion:
		code, hint = task.VersionSkew, program+" is older than the daemon: install both from one build"
	case protocol.RefusedFolder:
		code, hint = task.Unavailable, "is the disk full, or the state folder not writable?"
	case protocol.RefusedLocked, protocol.RefusedRevoked, protocol.RefusedUsed:
		hint = "each attempt has a folder of its own"
	case protocol.RefusedSpec:
		code = task.Internal
	}
	e := task.Errorf(code, "%s: %w", r.Message, ErrNotExecuted)
	e.Message = r.Message // what is wrong with the program says enough
	if r.Refusal != protocol.RefusedExec {
		e.Message = fmt.Sprintf("the holder of %s: %s", spec.Path, r.Message)
	}
	return e.WithHint("%s", hint).WithDetail("refusal", r.Refusal)
}

// unanswered judges what a holder has left behind that died, or was killed, before it answered.
func (l Launcher) unanswered(ctx context.Context, dir string, spec Spec, why error) (*Process, error) {
	p, verdict, err := l.Recover(context.WithoutCancel(ctx), dir, spec.Nonce)
	switch {
	case err != nil:
		return nil, errors.Join(err, why)
	case verdict == NotStarted:
		return nil, task.Errorf(task.Unavailable, "the holder of %s: %w: %w", spec.Path, why, ErrNotExecuted)
	case verdict == Ended && p.exit.Error != "":
		return nil, refused(protocol.Reply{Refusal: protocol.RefusedExec, Message: p.exit.Error}, spec)
	}
	return p, nil // it ran: Wait says what became of it
}

func started(spec Spec, holder int) protocol.Started {
	return protocol.Started{
		Holder: protocol.Process{PID: holder, Start: proc.Start(holder)},
		Nonce:  spec.Nonce, Marks: protocol.Marks(spec.Env), Stdin: spec.Stdin, Grace: spec.Grace, KeepChildren: spec.KeepChildren, Group: spec.Group,
	}
}
