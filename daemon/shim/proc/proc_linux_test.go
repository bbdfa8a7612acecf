package proc

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

func TestParseStat(t *testing.T) {
	const tail = " 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0"
	addresses := strings.Repeat(" 0", 25)
	for _, c := range []struct {
		line string
		want stat
		ok   bool
	}{
		{"7 (sh) S 3 7" + tail, stat{parent: 3, start: "12345"}, true},
		{"7 (a) b) (c) S 3 7" + tail, stat{parent: 3, start: "12345"}, true},
		{"7 (sh) Z 3 7" + tail, stat{parent: 3, start: "12345", dead: true}, true},
		{"7 (sh) Z 3 7" + strings.Replace(tail, " 20 0 1 ", " 20 0 2 ", 1), stat{parent: 3, start: "12345"}, true}, // a thread still runs
		{"7 (sh) S 3 7" + tail + addresses + " 0 0 0", stat{parent: 3, start: "12345", env: envSome}, true},        // in the middle of an exec
		{"7 (sh) S 3 7" + tail + addresses + " 140 144 0", stat{parent: 3, start: "12345", env: envSome}, true},
		{"7 (sh) S 3 7" + tail + addresses + " 140 140 0", stat{parent: 3, start: "12345", env: envEmpty}, true},
		{"7 (kworker) I 3 7" + strings.Replace(tail, "4194560", "69238880", 1) + addresses + " 0 0 0", stat{parent: 3, start: "12345"}, true},
		{"", stat{}, false}, {"7 (sh", stat{}, false}, {"7 (sh) S x 7" + tail, stat{}, false}, {"7 (sh) S 3", stat{}, false},
	} {
		if got, ok := parseStat(c.line); ok != c.ok || ok && got != c.want {
			t.Errorf("%q: %+v, %v", c.line, got, ok)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("7 (sh) S 3 7 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0")
	f.Fuzz(func(t *testing.T, line string) { parseStat(line) })
}

func TestIdentity(t *testing.T) {
	if id := BootID(); len(id) < 38 || id != BootID() || strings.HasSuffix(id, "/") {
		t.Errorf("boot %q", id)
	}
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	start := Start(pid)
	if start == "" || start != Start(pid) {
		t.Errorf("start %q", start)
	}
	members, err := Tree{Root: os.Getpid()}.Members()
	if err != nil || len(members) != 1 || members[0] != (Process{PID: pid, Start: start}) {
		t.Errorf("below us: %+v, %v", members, err)
	}
	// Of another start time, it is another process: what descends from us is never of a tree without a root, either.
	for _, tree := range []Tree{{Child: Process{PID: pid, Start: "1"}}, {Root: pid}} {
		if n, err := tree.Signal(9); n != 0 || err != nil {
			t.Errorf("%+v: %d processes, %v", tree, n, err)
		}
	}
	if Start(pid) != start {
		t.Error("it was killed")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if got := Start(pid); got != "" {
		t.Errorf("start of the dead: %q", got)
	}
}

// TestMiddleOfAnExec: a process that changes its program all the time, and has no environment at the moment it does, is of its
// tree in each look.
func TestMiddleOfAnExec(t *testing.T) {
	mark := "DURABLE_TEST_MARK=" + strconv.Itoa(os.Getpid())
	const again = `exec sh -c "$0" "$0"`
	cmd := exec.Command("sh", "-c", again, again)
	cmd.Env = append(os.Environ(), mark)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	// Asked for itself: what descends from the caller only is never of a tree.
	missed := 0
	for range 2000 {
		if !(Tree{Marks: []string{mark}}).scan().marked(cmd.Process.Pid) {
			missed++
		}
	}
	if missed > 0 {
		t.Errorf("missed %d times of 2000", missed)
	}
}
