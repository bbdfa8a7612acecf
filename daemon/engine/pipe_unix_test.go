//go:build unix

package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"durable/daemon/job"
	"durable/ipc/task"
)

// TestANamedPipeIsNoArtifact: to open it would wait for a writer, for ever.
func TestANamedPipeIsNoArtifact(t *testing.T) {
	var pipe string
	h := newHouse(t, script{name: "k", run: func(_ context.Context, j *job.Context) (any, error) {
		dir, err := j.ArtifactsDir()
		if err != nil {
			return nil, err
		}
		pipe = filepath.Join(dir, "pipe")
		return nil, syscall.Mkfifo(pipe, 0o600)
	}}).up()
	id := h.wait(h.submit(task.Spec{Kind: "k"}).ID).ID
	rescue := time.AfterFunc(time.Minute, func() {
		if f, err := os.OpenFile(pipe, os.O_WRONLY, 0); err == nil {
			_ = f.Close()
		}
		t.Error("it was opened")
	})
	_, _, err := h.OpenArtifact(t.Context(), id.Ref(), "pipe")
	rescue.Stop()
	wantCode(t, err, task.NotFound)
}
