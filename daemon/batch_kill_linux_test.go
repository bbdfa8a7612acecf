package daemon_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"durable/ipc/client"
	"durable/ipc/polltest"
	"durable/ipc/task"
)

// TestBatchKills kills the daemon under a batch of commands.
func TestBatchKills(t *testing.T) { batchKills(t, 1000, 1, 3, 5*patience) }

// batchKills runs n items, size at a time, at parallelism=2 and kills the daemon so many times on the way. Every item is in the
// output once, in order, and no batch was run twice but those that are marked so.
func batchKills(t *testing.T, n, size, kills int, patience time.Duration) {
	dir, out := shortDir(t), t.TempDir()
	ran := filepath.Join(out, "ran")
	p := start(t, dir, "").up()
	c := dial(dir, client.Options{DialRetry: client.Forever})
	defer closeClient(c)
	spec := task.Spec{Kind: "batch_processing", Params: mustJSON(map[string]any{
		"total_items": n, "batch_size": size, "parallelism": 2, "cwd": out, "stdin": "lines", "environ": os.Environ(),
		"command": []string{"/bin/sh", "-c", `echo $1 >> "$2"; cat`, "sh", "{index}", ran},
	})}
	id := submitApproved(t, c, spec)
	killed := 0
	for k := 1; k <= kills; k++ {
		at := int64(k*n/(kills+1) + rand.IntN(n/(kills+1)/2))
		ended := false
		polltest.True(t, patience, "the attempt has come as far as its kill", func() bool {
			now, err := c.Get(t.Context(), id.Ref())
			if err != nil {
				return false
			}
			ended = now.Status.Terminal() // a slow look: then there were fewer kills
			// Three attempts in a row without a checkpoint would be a crash loop.
			return ended || now.Progress.Done >= at && now.Attempt == k && now.Checkpoint != nil && now.Checkpoint.Attempt == k
		})
		if ended {
			break
		}
		p.kill()
		killed++
		p = start(t, dir, "").up()
	}
	if killed == 0 {
		t.Errorf("the daemon was never killed")
	}
	var end task.Task
	polltest.True(t, patience, "the task has ended", func() bool {
		var err error
		end, err = c.Get(t.Context(), id.Ref())
		return err == nil && end.Status.Terminal()
	})
	if end.Status != task.StatusCompleted || end.Attempt != killed+1 {
		t.Fatalf("task %s after %d attempts: %v", end.Status, end.Attempt, end.Error)
	}
	reruns := checkBatchOutput(t, filepath.Join(dir, "tasks", string(id), "artifacts", "output.jsonl"), n, size)
	n /= size
	b, err := os.ReadFile(ran)
	if err != nil {
		t.Fatal(err)
	}
	runs := bytes.Count(b, []byte("\n"))
	if runs < n || runs > n+reruns || reruns > 2*killed {
		t.Errorf("%d runs of %d batches, %d marked as run again, after %d kills", runs, n, reruns, killed)
	}
	t.Logf("%d batches, %d kills: %d runs, %d marked as run again", n, killed, runs, reruns)
}

// checkBatchOutput holds an output against the numbers 1 to n, size in a batch.
func checkBatchOutput(t *testing.T, path string, n, size int) (reruns int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r := bufio.NewReader(f)
	for want := 1; ; want++ {
		line, err := r.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			if want != n/size+1 {
				t.Fatalf("%d batches in the output, want %d", want-1, n/size)
			}
			return reruns
		}
		var rec struct {
			Batch, Item int
			Items       []int
			OK, Rerun   bool
			Stdout      string
		}
		if err := json.Unmarshal(line, &rec); err != nil {
			t.Fatalf("line %d: %v", want, err)
		}
		items, text := rec.Items, new(bytes.Buffer)
		if size == 1 {
			items = []int{rec.Item}
		}
		for i, item := range items {
			if item != (want-1)*size+i+1 {
				t.Fatalf("line %d: %s", want, line)
			}
			fmt.Fprintln(text, item)
		}
		if rec.Batch != want || len(items) != size || !rec.OK || rec.Stdout != text.String() {
			t.Fatalf("line %d: %s", want, line)
		}
		if rec.Rerun {
			reruns++
		}
	}
}

// submitApproved starts a task, and says yes where a person has to.
func submitApproved(t *testing.T, c *client.Client, spec task.Spec) task.ID {
	t.Helper()
	got, err := c.Submit(t.Context(), spec, "")
	if err != nil {
		t.Fatal(err)
	}
	if got.Phase == task.PhaseAwaitingApproval {
		if _, err := c.Approve(t.Context(), got.ID.Ref(), task.ApproveRequest{}, ""); err != nil {
			t.Fatal(err)
		}
	}
	return got.ID
}
