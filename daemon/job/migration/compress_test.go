package migration

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"durable/ipc/task"
)

// TestWindows: files of zstd --long and --ultra are read; what zstd itself refuses is an error that says what to do.
func TestWindows(t *testing.T) {
	var plain bytes.Buffer
	w, err := zstd.NewWriter(&plain, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	const rows = 20_000
	for range rows {
		_, _ = w.Write([]byte("{\"id\":1,\"text\":\"text\"}\n")) // Close tells
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := plain.Bytes()
	if file[4]&0x20 != 0 {
		t.Fatal("a frame without a window")
	}
	for log, want := range map[byte]string{23: "", 27: "", 28: "a window of more than 128 MiB", 31: "a window of more than 128 MiB"} {
		file[5] = (log - 10) << 3 // the window is two to the power of log
		path := filepath.Join(t.TempDir(), "data.jsonl.zst")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		p := paths(path, filepath.Join(t.TempDir(), "out.csv"))
		if want == "" {
			if res := migrate(t, p); res.Migrated != rows {
				t.Errorf("2^%d: %+v", log, res)
			}
			continue
		}
		_, err := New().Prepare(t.Context(), task.Spec{Kind: "data_migration", Params: encode(t, p)})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(task.AsError(err).Hint, "--long=27") {
			t.Errorf("2^%d: %v", log, err)
		}
	}
}
