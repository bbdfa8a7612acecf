package holder

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"durable/daemon/shim/cgroup"
	"durable/daemon/shim/proc"
	"durable/daemon/shim/protocol"
)

// Exit statuses, for those who run a holder by hand: what counts is in the folder and in the reply.
const (
	statusDone    = 0
	statusRefused = 1
	statusUsage   = 2
)

// Main runs the holder of the attempt whose folder is the only argument, and returns its exit status.
func Main(args []string) int {
	if len(args) != 1 || args[0] == "" || args[0][0] == '-' && args[0] != protocol.ArgSpare {
		_, _ = os.Stderr.WriteString("usage: durable-shim FOLDER\ndurabled starts it; it holds one running command\n")
		return statusUsage
	}
	h := holder{in: os.Stdin}
	h.signals.survive()
	folder := args[0]
	if folder == protocol.ArgSpare {
		if folder = h.await(); folder == "" { // not wanted, or the daemon has gone
			return statusDone
		}
	}
	if err := os.Chdir(folder); err != nil { // the files are named from here: the path may be long, or be moved
		return h.refuse(protocol.RefusedFolder, err)
	}
	if refusal, err := h.begin(); refusal != "" {
		return h.refuse(refusal, err)
	}
	h.loop()
	return statusDone
}

// here is the attempt's folder.
const here = "."

// holder is the state of a program's holder. All of it belongs to one goroutine.
type holder struct {
	in   io.Reader // what the daemon says
	spec protocol.Spec

	alive, lock *os.File // held to the end of the process
	control     control
	signals     signals
	tree        *tree
	logs        *logs
	feeder      *feeder // nil: the program's input does not come through us

	noted   bool // see note
	exit    protocol.Exit
	ended   bool // the program has ended, and exit says how
	written bool // and that is on disk

	stopping bool
	killAt   time.Time // when stopping turns into killing
	kills    int       // how often that was tried
	again    time.Time // when it is to be tried again at the earliest: the kernel is at it
}

// await waits, as a spare, for a folder; empty: none comes. What needs no folder is done before that, and no folder is held meanwhile.
func (h *holder) await() string {
	_ = os.Chdir(string(os.PathSeparator))
	_, _ = proc.BootID(), proc.Start(os.Getpid()) // read for the first time, it takes longer
	in := bufio.NewReader(os.Stdin)
	folder, err := in.ReadString(0)
	if err != nil {
		return ""
	}
	h.in = in
	return strings.TrimSuffix(folder, "\x00")
}

// refuse answers why nothing runs.
func (h *holder) refuse(refusal string, err error) int {
	message := refusal
	if err != nil {
		message = err.Error()
	}
	h.reply(protocol.Reply{Refusal: refusal, Message: message})
	return statusRefused
}

// reply ends the talk with the daemon over the pipes. That the daemon has gone does not matter.
func (h *holder) reply(r protocol.Reply) {
	h.hangUp(r.Append())
}

// begin does everything up to the program's start, in the one order that recovery can rely on.
func (h *holder) begin() (refusal string, err error) {
	if refusal, err = h.claim(); refusal != "" {
		return refusal, err
	}
	if refusal, err = h.readSpec(); refusal != "" {
		return refusal, err
	}
	h.pause(protocol.PauseSpec)
	if h.control, err = openControl(); err != nil {
		return protocol.RefusedFolder, err
	}
	files, err := h.open()
	if err != nil {
		return protocol.RefusedFolder, err
	}
	if err := h.writeStarted(); err != nil {
		return protocol.RefusedFolder, err
	}
	h.pause(protocol.PauseStarted)
	if protocol.Exists(here, protocol.FileRevoked) { // by a daemon that could not wait for us
		return protocol.RefusedRevoked, h.notRun(errRevoked)
	}
	return h.exec(files)
}

var errRevoked = errors.New("revoked before it was started")

// notRun writes down that the program did not run, and returns why.
func (h *holder) notRun(err error) error {
	h.exit.Error, h.exit.Ended, h.exit.Code = err.Error(), time.Now(), -1
	// A disk that is full must not make this one wait: the refusal says it too.
	_ = protocol.Write(here, protocol.FileExit, h.exit.Append(), true)
	_ = cgroup.Remove(h.spec.Group, 0)
	return err
}

// claim takes the folder. The lock comes before the look for "revoked": a daemon that judges takes the lock, then revokes.
func (h *holder) claim() (refusal string, err error) {
	if h.alive, err = openAlive(); err != nil {
		return protocol.RefusedFolder, err
	}
	if h.lock, err = protocol.TryLock(here); errors.Is(err, protocol.ErrLocked) {
		return protocol.RefusedLocked, err
	} else if err != nil {
		return protocol.RefusedFolder, err
	}
	if protocol.Exists(here, protocol.FileRevoked) {
		return protocol.RefusedRevoked, nil
	}
	for _, name := range []string{protocol.FileStarted, protocol.FileExit} {
		if protocol.Exists(here, name) {
			return protocol.RefusedUsed, nil
		}
	}
	return "", nil
}

// readSpec reads what to run, whole: a daemon that dies while it writes has started nothing.
func (h *holder) readSpec() (refusal string, err error) {
	data, err := io.ReadAll(h.in)
	if err != nil {
		return protocol.RefusedSpec, err
	}
	h.spec, err = protocol.ParseSpec(data)
	switch {
	case errors.Is(err, protocol.ErrNewer):
		return protocol.RefusedVersion, err
	case err != nil:
		return protocol.RefusedSpec, err
	}
	return "", nil
}

func (h *holder) writeStarted() error {
	pid := os.Getpid()
	s := protocol.Started{
		Version: protocol.Version, Nonce: h.spec.Nonce, Boot: proc.BootID(),
		Holder: protocol.Process{PID: pid, Start: proc.Start(pid)}, Time: time.Now(), Marks: protocol.Marks(h.spec.Env),
		Stdin: h.spec.Stdin, Grace: h.spec.Grace, KeepChildren: h.spec.KeepChildren, Group: h.spec.Group,
	}
	return protocol.Create(here, protocol.FileStarted, s.Append())
}

// exec runs the program and tells the daemon.
func (h *holder) exec(files *files) (refusal string, err error) {
	h.exit.Started = time.Now()
	h.tree, err = startTree(&h.spec, files, &h.signals)
	if err != nil {
		return protocol.RefusedExec, h.notRun(err)
	}
	files.close()
	h.feeder = startFeeder(files.feed)
	h.spec.Args, h.spec.Env = nil, nil // secrets, and memory
	h.pause(protocol.PauseForked)
	h.reply(protocol.Reply{Child: h.tree.child})
	h.signals.listen()
	h.logs = watchLogs(h.spec.LogLimit)
	return "", nil
}

// noteAfter is how long after its start a program is written down, if it has not ended: who has waited for the start, and the program itself, come
// first.
const noteAfter = 2 * time.Millisecond

// note writes down, once, what nobody waits for: the program, for people and orphans, and room for its end.
func (h *holder) note() {
	if h.noted {
		return
	}
	h.noted = true
	child := protocol.Child{Version: protocol.Version, Process: h.tree.child}
	_ = protocol.Write(here, protocol.FileChild, child.Append(), false)
	h.pause(protocol.PauseChild)
	if !h.ended {
		protocol.Reserve(here, protocol.FileExit)
	}
}

// pause stops the process at that point, if a test wants it.
func (h *holder) pause(point string) {
	if h.spec.Pause == point {
		stopSelf()
	}
}
