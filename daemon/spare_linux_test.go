package daemon_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"durable/ipc/client"
	"durable/ipc/polltest"
	"durable/ipc/task"
)

// spareHolders counts the holders of dir that wait for a folder.
func spareHolders(program string) (n int) {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		if line, err := os.ReadFile(name); err == nil && bytes.Equal(line, []byte(program+"\x00-\x00")) {
			n++
		}
	}
	return n
}

// TestSpareEndsWithTheDaemon: a daemon is killed while a holder waits for its next command. The holder goes, the command goes on, and
// the next daemon starts others.
func TestSpareEndsWithTheDaemon(t *testing.T) {
	dir, out := shortDir(t), t.TempDir()
	bin := filepath.Join(out, "durable-shim")
	shimDir, err := shimProgram()
	if err == nil {
		err = os.Symlink(filepath.Join(shimDir, "durable-shim"), bin)
	}
	if err != nil {
		t.Fatal(err)
	}
	env := append(withShim(t, 8), "PATH="+out+string(filepath.ListSeparator)+os.Getenv("PATH"))
	p := start(t, dir, "shim.spare:0", env...).up()
	c := dial(dir, client.Options{Via: task.ViaCLI, DialRetry: patience})
	defer closeClient(c)
	end, submitted := filepath.Join(out, "end"), make(chan task.Task)
	go func() { // the daemon may die before its answer has left: then it is asked again
		params := mustJSON(map[string]any{"command": []string{"/bin/sh", "-c", untilFile(end) + "exit 0"}, "cwd": "/"})
		made, err := c.Submit(t.Context(), task.Spec{Kind: "command", Params: params}, "")
		if err != nil {
			t.Error(err)
		}
		submitted <- made
	}()
	p.wait()
	if p.point != "shim.spare" {
		t.Fatalf("the daemon ended at %q:\n%s", p.point, p.stderr.String())
	}
	polltest.True(t, patience, "no holder waits for a daemon that is gone", func() bool { return spareHolders(bin) == 0 })
	start(t, dir, "", env...).up()
	made := <-submitted
	touch(t, end)
	for _, id := range []task.ID{made.ID, submitCommand(t, c, map[string]any{"command": []string{"/bin/true"}, "cwd": "/"}).ID} {
		done, err := c.Wait(t.Context(), id.Ref(), patience)
		if err != nil || done.Outcome != task.OutcomeSucceeded || done.Attempt != 1 {
			t.Errorf("%s (%s), attempt %d, %v", done.Status, done.Outcome, done.Attempt, err)
		}
	}
}
