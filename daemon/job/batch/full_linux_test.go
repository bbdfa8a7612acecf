package batch

import (
	"errors"
	"os"
	"strings"
	"testing"

	"durable/ipc/task"
)

// TestFullDisk: an end that cannot be recorded ends the attempt, and says what to do; nothing is recorded after it.
func TestFullDisk(t *testing.T) {
	j, err := openJournal(t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.close() }()
	whole := j.f
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = full.Close() }()
	j.f = full
	for range 2 {
		_, err := j.append([]byte("{\"batch\":1}\n"))
		if !errors.Is(err, task.ResourceExhausted) || !strings.Contains(task.AsError(err).Hint, "it goes on where it stopped") {
			t.Errorf("error %v", err)
		}
		j.f = whole
	}
	if j.size != 0 || j.sync() == nil {
		t.Errorf("%d bytes, and the journal goes on", j.size)
	}
}
