package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMan: every command that has a help text has a manual page.
func TestMan(t *testing.T) {
	dir := t.TempDir()
	c := &cli{in: strings.NewReader(""), out: io.Discard, err: io.Discard, now: time.Now, connect: connect}
	if status := c.run(t.Context(), []string{"man", dir}); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	helps, err := filepath.Glob("testdata/help/*.hlp")
	if err != nil || len(helps) == 0 {
		t.Fatalf("%d help texts, %v", len(helps), err)
	}
	for _, help := range helps {
		page := strings.TrimSuffix(filepath.Base(help), ".hlp") + ".1"
		if text, err := os.ReadFile(filepath.Join(dir, page)); err != nil || !strings.Contains(string(text), ".SH SYNOPSIS") {
			t.Errorf("%s: %v", page, err)
		}
	}
}
