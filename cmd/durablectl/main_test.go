package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"durable/install/hosts"
	"durable/ipc/localapi"
	"durable/ipc/socket"
	"durable/ipc/task"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){
		"durablectl": func() {
			c := newCLI()
			c.now = func() time.Time { return start } // the fake's tasks are of that day
			c.completion = patience
			if goos := os.Getenv("TEST_GOOS"); goos != "" { // the hosts of another system
				c.system = func() (hosts.System, error) {
					s, err := hosts.This()
					s.GOOS = goos
					return s, err
				}
			}
			os.Exit(interruptible(c))
		},
		"durable-mcp": func() {}, // to be found, not to be started
	})
}

// leakChecked is a testing.M that also fails when a goroutine is left.
type leakChecked struct{ *testing.M }

func (m leakChecked) Run() int {
	status := m.M.Run()
	if status == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return status
}

// patience bounds every wait for another process.
const patience = time.Minute

// home is a script's daemon-to-be.
type home struct {
	dir    string
	daemon *fake
	looks  int // how many had looked on when fresh was called
}

type homeKey struct{}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		UpdateScripts:      *update,
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			dir, err := os.MkdirTemp("/tmp", "d") // a socket's path must be short
			if err != nil {
				return err
			}
			h := &home{dir: dir}
			env.Defer(func() {
				if h.daemon != nil {
					h.daemon.quit()
				}
				os.RemoveAll(dir)
			})
			env.Values[homeKey{}] = h
			env.Setenv("DURABLE_HOME", dir)
			env.Setenv("DURABLE_AUTOSTART", "0")
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("PATH", filepath.SplitList(os.Getenv("PATH"))[0]) // durablectl's folder: no durabled is found
			env.Setenv("TZ", "UTC")
			env.Setenv("GORACE", "atexit_sleep_ms=0") // with -race each exec would sleep a second at its end
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"daemon": startDaemon, "tasks": loadTasks, "fresh": fresh, "looking": looking, "progress": progress, "begin": begin,
			"write": writeLog, "drop": dropLog, "end": endTask, "spec": lastSpec, "exits": exits, "asks": asks, "did": did,
			"input": input, "left": left, "interrupt": interrupt, "die": die,
		},
	})
}

func homeOf(ts *testscript.TestScript) *home { return ts.Value(homeKey{}).(*home) }

// startDaemon: "daemon" starts the fake on the usual socket of $DURABLE_HOME.
func startDaemon(ts *testscript.TestScript, _ bool, _ []string) {
	h := homeOf(ts)
	f, err := serve(h.dir)
	ts.Check(err)
	h.daemon = f
}

func serve(dir string) (*fake, error) {
	l, err := socket.Listen(socket.In(dir).Socket)
	if err != nil {
		return nil, err
	}
	f := newFake(dir)
	server := localapi.New(f, localapi.Options{}).Server()
	done := make(chan struct{})
	f.quit = func() { // before the first request, which may ask for it
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
		<-done
	}
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	return f, nil
}

// die: "die" leaves the socket of a daemon that was killed, on which nobody listens.
func die(ts *testscript.TestScript, _ bool, _ []string) {
	path := socket.In(homeOf(ts).dir).Socket
	ts.Check(os.Link(path, path+".copy"))
	homeOf(ts).daemon.quit()
	ts.Check(os.Rename(path+".copy", path))
}

// loadTasks: "tasks FILE" gives the fake the tasks in a JSON file.
func loadTasks(ts *testscript.TestScript, _ bool, args []string) {
	var list []task.Task
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &list))
	for _, t := range list {
		homeOf(ts).daemon.add(t)
	}
}

// fresh: "fresh" forgets those who looked on before, for the next "looking".
func fresh(ts *testscript.TestScript, _ bool, _ []string) {
	h := homeOf(ts)
	h.daemon.update(func() { h.looks = h.daemon.looks })
}

// looking: "looking" waits until somebody watches, waits or follows since "fresh"; "looking settled",
// until he has also asked how the task is.
func looking(ts *testscript.TestScript, _ bool, args []string) {
	h := homeOf(ts)
	f := h.daemon
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ready := func() bool { return f.looks > h.looks }
	if len(args) > 0 {
		ready = func() bool { return f.lookedAt > h.looks }
	}
	if f.until(ctx, ready) != nil {
		ts.Fatalf("nobody looks on")
	}
}

// progress: "progress TASK DONE TOTAL" reports.
func progress(ts *testscript.TestScript, _ bool, args []string) {
	_, err := homeOf(ts).daemon.change(task.Ref(args[0]), task.EventProgress, func(t *task.Task) error {
		t.Progress = task.Progress{Done: number64(ts, args[1]), Total: task.Total(number64(ts, args[2])), Unit: "records"}
		return nil
	})
	ts.Check(err)
}

// begin: "begin TASK N" starts attempt N.
func begin(ts *testscript.TestScript, _ bool, args []string) {
	_, err := homeOf(ts).daemon.change(task.Ref(args[0]), task.EventStarted, func(t *task.Task) error {
		at := start
		t.Status, t.Phase, t.Attempt, t.StartedAt = task.StatusRunning, task.PhaseRunning, int(number64(ts, args[1])), &at
		return nil
	})
	ts.Check(err)
}

func number64(ts *testscript.TestScript, s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	ts.Check(err)
	return n
}

// writeLog: "write TASK TEXT" adds a line to its log; "write TASK TEXT STREAM" to another stream, TEXT in Go's notation,
// and with STREAM -n to stdout without the end of a line.
func writeLog(ts *testscript.TestScript, _ bool, args []string) {
	stream, text, end := task.StreamLog, args[1], "\n"
	if len(args) > 2 {
		var err error
		text, err = strconv.Unquote(`"` + text + `"`)
		ts.Check(err)
		stream = args[2]
	}
	if stream == "-n" {
		stream, end = task.StreamStdout, ""
	}
	homeOf(ts).daemon.write(uint64(number64(ts, args[0])), stream, text+end)
}

// dropLog: "drop TASK FROM TO" makes a hole in its stdout.
func dropLog(ts *testscript.TestScript, _ bool, args []string) {
	f := homeOf(ts).daemon
	f.update(func() {
		f.holes[uint64(number64(ts, args[0]))] = [2]int{int(number64(ts, args[1])), int(number64(ts, args[2]))}
	})
}

// endTask: "end TASK STATUS" ends it.
func endTask(ts *testscript.TestScript, _ bool, args []string) {
	_, err := homeOf(ts).daemon.change(task.Ref(args[0]), task.EventStatus, end(task.Status(args[1])))
	ts.Check(err)
}

// lastSpec: "spec" prints what was submitted last; then "stdout" can look at it.
func lastSpec(ts *testscript.TestScript, _ bool, _ []string) {
	f := homeOf(ts).daemon
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.specs) == 0 {
		ts.Fatalf("nothing was submitted")
	}
	ts.Check(json.NewEncoder(ts.Stdout()).Encode(f.specs[len(f.specs)-1]))
}

// asks: "asks" makes all that is submitted from now on wait for approval.
func asks(ts *testscript.TestScript, _ bool, _ []string) {
	f := homeOf(ts).daemon
	f.update(func() { f.asks = true })
}

// did: "did" prints what the daemon was asked to do, a line for each.
func did(ts *testscript.TestScript, _ bool, _ []string) {
	f := homeOf(ts).daemon
	f.mu.Lock()
	defer f.mu.Unlock()
	fmt.Fprintln(ts.Stdout(), strings.Join(f.did, "\n"))
}

// input: "input TASK" prints what was written to its program.
func input(ts *testscript.TestScript, _ bool, args []string) {
	f := homeOf(ts).daemon
	f.mu.Lock()
	defer f.mu.Unlock()
	n := uint64(number64(ts, args[0]))
	fmt.Fprintf(ts.Stdout(), "%sclosed: %t\n", f.input[n], f.closed[n])
}

// left: "left FOLDER..." prints every file there.
func left(ts *testscript.TestScript, _ bool, args []string) {
	for _, dir := range args {
		files, err := os.ReadDir(ts.MkAbs(dir))
		ts.Check(err)
		for _, f := range files {
			fmt.Fprintln(ts.Stdout(), dir+"/"+f.Name())
		}
	}
}

// exits: "exits N COMMAND..." wants that exit status, where exec only knows failure.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	wantStatus(ts, args[0], ts.Exec(args[1], args[2:]...))
}

func wantStatus(ts *testscript.TestScript, want string, err error) {
	status := 0
	var exited *exec.ExitError
	if errors.As(err, &exited) {
		status = exited.ExitCode()
	} else {
		ts.Check(err)
	}
	if want != strconv.Itoa(status) {
		ts.Fatalf("exit status %d, want %s", status, want)
	}
}

// interrupt: "interrupt N COMMAND..." starts it, presses Ctrl-C once it looks on, and wants that status.
func interrupt(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	cmd := exec.CommandContext(ctx, path, args[2:]...)
	cmd.Env = append(os.Environ(), "DURABLE_HOME="+homeOf(ts).dir)
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	fresh(ts, false, nil)
	ts.Check(cmd.Start())
	looking(ts, false, nil)
	ts.Check(cmd.Process.Signal(os.Interrupt))
	wantStatus(ts, args[0], cmd.Wait())
}

// TestHelp compares the help of every command with a file, so that a change of the command line is seen
// in review.
func TestHelp(t *testing.T) {
	help := newCLI()
	help.kinds = nil // those of whoever runs the test
	root := newRoot(help)
	root.InitDefaultHelpCmd()
	seen := map[string]bool{}
	var walk func(path []string)
	walk = func(path []string) {
		cmd, _, err := root.Find(path[1:])
		if err != nil {
			t.Fatal(err)
		}
		name := strings.Join(path, "-")
		seen[name+".hlp"] = true
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			c := &cli{in: strings.NewReader(""), out: &out, err: io.Discard, now: time.Now, connect: connect}
			if status := c.run(t.Context(), append(path[1:], "--help")); status != 0 {
				t.Fatalf("exit status %d", status)
			}
			compare(t, filepath.Join("testdata", "help", name+".hlp"), out.String())
		})
		for _, sub := range cmd.Commands() {
			if sub.Name() != "help" && sub.Name() != "completion" && !sub.Hidden {
				walk(append(path[:len(path):len(path)], sub.Name()))
			}
		}
	}
	walk([]string{"durablectl"})
	files, err := filepath.Glob("testdata/help/*.hlp")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !seen[filepath.Base(file)] {
			t.Errorf("%s: there is no such command any more", file)
		}
	}
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (-update writes it); got:\n%s", file, got)
	}
}
