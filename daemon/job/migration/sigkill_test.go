package migration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"durable/daemon/job/jobtest"
	"durable/ipc/task"
)

const childEnv = "MIGRATION_TEST_CHILD"

// childTask is what the process that gets killed is told.
type childTask struct {
	Params     json.RawMessage
	Attempt    int
	KillAt     int
	Checkpoint string
}

// TestChild is the attempt of TestSIGKILL, in a process of its own; alone it has nothing to do.
func TestChild(t *testing.T) {
	env := os.Getenv(childEnv)
	if env == "" {
		return
	}
	var c childTask
	if err := json.Unmarshal([]byte(env), &c); err != nil {
		t.Fatal(err)
	}
	host := jobtest.New(t)
	if data, err := os.ReadFile(c.Checkpoint); err == nil {
		host.SetCheckpoint(data)
	}
	host.After = func(_ int, data []byte) error {
		if err := os.WriteFile(c.Checkpoint+".new", data, 0o600); err != nil {
			return err
		}
		return os.Rename(c.Checkpoint+".new", c.Checkpoint)
	}
	k := New()
	k.commitEvery = 0
	points := 0
	k.hook = func(string) error {
		if points++; points == c.KillAt {
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Kill()
			}
			if err != nil {
				return err
			}
			select {} // until the signal has arrived
		}
		return nil
	}
	_, err := k.Run(t.Context(), host.Context(task.Task{ID: "019a-1", RootID: "019a-1", Attempt: c.Attempt, Params: c.Params}))
	if err != nil {
		t.Fatal(err)
	}
}

// TestSIGKILL is TestCrashAnywhere with a real process and a real signal: buffers are lost, journals
// are left hot.
func TestSIGKILL(t *testing.T) {
	for i, tt := range crashCases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			params, want := crashSetup(t, t.TempDir(), tt.source, tt.destination, tt.mode, tt.old)
			l := prepare(t, params)
			checkpoint := filepath.Join(t.TempDir(), "checkpoint")
			kills, tmp := 0, t.TempDir()
			for attempt, at := range []int{2 + i%5, 9, 11 - i%4} {
				env := encode(t, childTask{l.task.Params, attempt + 1, at, checkpoint})
				cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
				cmd.Env = append(os.Environ(), childEnv+"="+string(env), "TMPDIR="+tmp, "TMP="+tmp) // what a killed one leaves goes with the test
				out, err := cmd.CombinedOutput()
				if strings.Contains(string(out), "FAIL") {
					t.Fatalf("child: %v\n%s", err, out)
				}
				if err != nil {
					kills++
				}
			}
			if kills < 2 {
				t.Fatalf("only %d attempts were killed", kills)
			}
			if data, err := os.ReadFile(checkpoint); err == nil {
				l.host.SetCheckpoint(data)
			}
			l.task.Attempt = 3
			l.check(t, params["destination_path"].(string), want)
		})
	}
}
