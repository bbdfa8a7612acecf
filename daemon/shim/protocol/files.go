package protocol

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Version is the protocol that this build speaks: what it writes, and the highest that it reads.
const Version = 1

// The names of the files of an attempt.
const (
	FileLock        = "lock"
	FileAlive       = "alive"
	FileControl     = "control"
	FileRevoked     = "revoked"
	FileStarted     = "started"
	FileChild       = "child"
	FileExit        = "exit"
	FileStdout      = "stdout"
	FileStderr      = "stderr"
	FileStdin       = "stdin"
	FileStdinClosed = "stdin.closed"
	FileStop        = "stop" // where there is no FIFO
)

// SuffixCorrupt is what the name of a file gets that could not be read.
const SuffixCorrupt = ".corrupt"

// ArgSpare is the argument of a holder whose folder comes later: first on its standard input, ended by a zero byte.
const ArgSpare = "-"

// StdinOpen is the [Spec.Stdin] of a program that is fed through the file stdin.
const StdinOpen = "open"

// The points at which a holder can be told to stop itself: see [Spec.Pause].
const (
	PauseSpec    = "spec"    // it has read the spec, and written nothing
	PauseStarted = "started" // "started" is on disk, nothing runs
	PauseForked  = "forked"  // the program runs, the daemon does not know yet
	PauseChild   = "child"   // "child" is there
	PauseExit    = "exit"    // the program has ended, "exit" is not there
)

// Spec is what a holder is to run. It never lies on disk: it has secrets in it.
type Spec struct {
	// Version is the protocol that the holder must speak; zero is that of this build.
	Version int
	// Nonce names this start.
	Nonce string
	// Args are the arguments, the program's own name first; Path is the program's absolute path.
	Args []string
	Path string
	// Dir is the working folder, Env all of the environment: NAME=value.
	Dir string
	Env []string
	// Nice is added to the holder's own.
	Nice int
	// Stdin is StdinOpen, the absolute path of a file, or empty: nothing to read.
	Stdin string
	// LogLimit is the size that stdout and stderr are each kept below; 0 is none.
	LogLimit int64
	// Grace is how long what the program leaves behind has between SIGTERM and SIGKILL.
	Grace time.Duration
	// KeepChildren: leave alone what the program leaves behind.
	KeepChildren bool
	// Group is where the program is to run; zero: nowhere in particular. One that is not there is no reason not to run it.
	Group Group
	// Pause is one of the Pause points, for tests: the holder sends itself a SIGSTOP there.
	Pause string
}

// Group names a control group: ID is the kernel's number of it, which no other has in the same boot. See package cgroup.
type Group struct {
	Path string
	ID   int64
}

// Process names a process in a way that survives the reuse of its number: Start is when it began, in a form of
// the operating system's own. See package proc.
type Process struct {
	PID   int
	Start string
}

// Started is the file "started": it is on disk before the program is run.
type Started struct {
	Version int
	Nonce   string
	// Boot is the identity of the boot: see proc.BootID.
	Boot   string
	Holder Process
	Time   time.Time
	// Marks are the variables that name the task and the attempt in the environment of each of its processes.
	Marks        []string
	Stdin        string
	Grace        time.Duration
	KeepChildren bool
	// Group is where the program was to run. What it has is not all of the tree: a process can leave it, if it may.
	Group Group
}

// Child is the file "child": the program.
type Child struct {
	Version int
	Process
}

// Exit is the file "exit": how the program ended.
type Exit struct {
	// Code is the exit status; it means nothing with a Signal, which is a name like SIGKILL.
	Code       int
	Signal     string
	CoreDumped bool
	// Error says why the program was not run at all.
	Error string
	// Stopped: it ended after the daemon had told it to.
	Stopped bool
	// Started and Ended are UTC; the times and the memory are those of the program and of the children it
	// has waited for.
	Started, Ended       time.Time
	UserTime, SystemTime time.Duration
	MaxRSS               int64
}

// Reply is what a holder answers on its standard output. The zero Refusal: the program runs.
type Reply struct {
	Refusal string
	Message string
	Child   Process
}

// The refusals.
const (
	RefusedLocked  = "locked"  // another holder, or a daemon that judges, has the folder
	RefusedRevoked = "revoked" // a daemon has judged that nothing was started
	RefusedUsed    = "used"    // something was started here before
	RefusedVersion = "version" // the spec is of a protocol that the holder does not speak
	RefusedSpec    = "spec"    // the spec was not whole
	RefusedFolder  = "folder"  // the files of the attempt cannot be written
	RefusedExec    = "exec"    // the program cannot be run; "exit" says so too
)

// ErrNewer: written by a build that speaks a newer protocol.
var ErrNewer = errors.New("written by a newer version")

// ErrCorrupt: not what a holder writes.
var ErrCorrupt = errors.New("corrupt")

// MarkNames are the variables that mark the processes of an attempt.
var MarkNames = []string{"DURABLE_TASK_ID", "DURABLE_ATTEMPT"}

// Marks returns those of env, which is complete or nil.
func Marks(env []string) []string {
	var marks []string
	for _, name := range MarkNames {
		found := ""
		for _, kv := range env { // the last one counts
			if strings.HasPrefix(kv, name+"=") {
				found = kv
			}
		}
		if found == "" {
			return nil
		}
		marks = append(marks, found)
	}
	return marks
}

// Append methods return what the file (or the message) holds.

// Append encodes s.
func (s *Spec) Append() []byte {
	var o object
	o.number("version", int64(s.Version))
	o.text("nonce", s.Nonce)
	o.list("args", s.Args)
	o.text("path", s.Path)
	o.text("dir", s.Dir)
	o.list("env", s.Env)
	o.number("nice", int64(s.Nice))
	o.text("stdin", s.Stdin)
	o.number("log_limit", s.LogLimit)
	o.number("grace_ns", int64(s.Grace))
	o.flag("keep_children", s.KeepChildren)
	o.group(s.Group)
	o.text("pause", s.Pause)
	return o.line()
}

// ParseSpec decodes a Spec.
func ParseSpec(data []byte) (Spec, error) {
	f, err := parse(data)
	s := Spec{
		Version: f.int("version"), Nonce: f.text("nonce"), Args: f.list("args"), Path: f.text("path"), Dir: f.text("dir"),
		Env: f.list("env"), Nice: f.int("nice"), Stdin: f.text("stdin"), LogLimit: f.number("log_limit"),
		Grace: time.Duration(f.number("grace_ns")), KeepChildren: f.flag("keep_children"), Pause: f.text("pause"),
		Group: f.group(),
	}
	if err == nil && (len(s.Args) == 0 || s.Path == "") {
		err = ErrCorrupt
	}
	return s, err
}

// Append encodes s.
func (s *Started) Append() []byte {
	var o object
	o.number("version", int64(s.Version))
	o.text("nonce", s.Nonce)
	o.text("boot", s.Boot)
	o.number("pid", int64(s.Holder.PID))
	o.text("start", s.Holder.Start)
	o.text("time", instant(s.Time))
	o.list("marks", s.Marks)
	o.text("stdin", s.Stdin)
	o.number("grace_ns", int64(s.Grace))
	o.flag("keep_children", s.KeepChildren)
	o.group(s.Group)
	return o.line()
}

// ParseStarted decodes a Started.
func ParseStarted(data []byte) (Started, error) {
	f, err := parse(data)
	s := Started{
		Version: f.int("version"), Nonce: f.text("nonce"), Boot: f.text("boot"), Holder: f.process(), Time: f.instant("time", &err),
		Marks: f.list("marks"), Stdin: f.text("stdin"), Grace: time.Duration(f.number("grace_ns")), KeepChildren: f.flag("keep_children"),
		Group: f.group(),
	}
	if err == nil && (s.Boot == "" || s.Holder.PID <= 1) {
		err = ErrCorrupt
	}
	return s, err
}

// Append encodes c.
func (c *Child) Append() []byte {
	var o object
	o.number("version", int64(c.Version))
	o.number("pid", int64(c.PID))
	o.text("start", c.Start)
	return o.line()
}

// ParseChild decodes a Child.
func ParseChild(data []byte) (Child, error) {
	f, err := parse(data)
	c := Child{f.int("version"), f.process()}
	if err == nil && c.PID <= 1 {
		err = ErrCorrupt
	}
	return c, err
}

// Append encodes e.
func (e *Exit) Append() []byte {
	var o object
	o.number("version", Version)
	o.key("code")
	o.buf = strconv.AppendInt(o.buf, int64(e.Code), 10)
	o.text("signal", e.Signal)
	o.flag("core_dumped", e.CoreDumped)
	o.text("error", e.Error)
	o.flag("stopped", e.Stopped)
	o.text("started", instant(e.Started))
	o.text("ended", instant(e.Ended))
	o.number("user_ns", int64(e.UserTime))
	o.number("system_ns", int64(e.SystemTime))
	o.number("max_rss", e.MaxRSS)
	return o.line()
}

// ParseExit decodes an Exit. One without a code is corrupt: an empty object is no success.
func ParseExit(data []byte) (Exit, error) {
	f, err := parse(data)
	e := Exit{
		Code: f.int("code"), Signal: f.text("signal"), CoreDumped: f.flag("core_dumped"), Error: f.text("error"),
		Stopped: f.flag("stopped"), Started: f.instant("started", &err), Ended: f.instant("ended", &err),
		UserTime: time.Duration(f.number("user_ns")), SystemTime: time.Duration(f.number("system_ns")), MaxRSS: f.number("max_rss"),
	}
	if err == nil && (f["code"].kind != kindNumber || e.Ended.IsZero()) {
		err = ErrCorrupt
	}
	return e, err
}

// Append encodes r.
func (r *Reply) Append() []byte {
	var o object
	o.number("version", Version)
	o.text("refusal", r.Refusal)
	o.text("message", r.Message)
	o.number("pid", int64(r.Child.PID))
	o.text("start", r.Child.Start)
	return o.line()
}

// ParseReply decodes a Reply.
func ParseReply(data []byte) (Reply, error) {
	f, err := parse(data)
	r := Reply{f.text("refusal"), f.text("message"), f.process()}
	if err == nil && r.Refusal == "" && r.Child.PID <= 1 {
		err = ErrCorrupt
	}
	return r, err
}
