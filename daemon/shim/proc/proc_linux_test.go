package proc

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestParseStat(t *testing.T) {
	const tail = " 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0"
	for _, c := range []struct {
		line string
		want stat
		ok   bool
	}{
		{"7 (sh) S 3 7" + tail, stat{3, "12345", false}, true},
		{"7 (a) b) (c) S 3 7" + tail, stat{3, "12345", false}, true},
		{"7 (sh) Z 3 7" + tail, stat{3, "12345", true}, true},
		{"7 (sh) Z 3 7" + strings.Replace(tail, " 20 0 1 ", " 20 0 2 ", 1), stat{3, "12345", false}, true}, // a thread still runs
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
