package token_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"durable/ipc/task"
	"durable/ipc/token"
)

// TestEnsure: whoever asks first makes it, and all get the same.
func TestEnsure(t *testing.T) {
	path := token.Path(t.TempDir())
	if _, err := token.Load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Load without a file: %v", err)
	}
	var wg sync.WaitGroup
	words := make([]string, 8)
	for i := range words {
		wg.Go(func() {
			var err error
			if words[i], err = token.Ensure(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, word := range words {
		if len(word) < 20 || word != words[0] {
			t.Errorf("Ensure: %q, the first got %q", word, words[0])
		}
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("files left: %v, %v", left, err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	next, err := token.Renew(path)
	if err != nil || next == words[0] || next == "" {
		t.Errorf("Renew: %q, %v", next, err)
	}
	if got, err := token.Load(path); got != next || err != nil {
		t.Errorf("Load: %q, %v, want %q", got, err, next)
	}
}

// TestLoadRefuses: what others can read, and what says nothing, is no token.
func TestLoadRefuses(t *testing.T) {
	path := token.Path(t.TempDir())
	if err := os.WriteFile(path, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if word, err := token.Load(path); word != "" || !errors.Is(err, task.FailedPrecondition) {
		t.Errorf("an empty file: %q, %v", word, err)
	}
	if runtime.GOOS == "windows" {
		return // it has no such modes
	}
	if err := os.WriteFile(path, []byte("word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if word, err := token.Load(path); word != "" || task.AsError(err).Hint == "" {
		t.Errorf("a file that others can read: %q, %v", word, err)
	}
}

func TestEqual(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"abc", "abc", true}, {"abc", "abd", false}, {"abc", "abcd", false}, {"", "a", false}} {
		if got := token.Equal(c.a, c.b); got != c.want {
			t.Errorf("Equal(%q, %q) = %v", c.a, c.b, got)
		}
	}
}
