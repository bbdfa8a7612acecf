package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLogTo: the folder of the log is made.
func TestLogTo(t *testing.T) {
	stdout, stderr := os.Stdout, os.Stderr
	defer func() { os.Stdout, os.Stderr = stdout, stderr }()
	path := filepath.Join(t.TempDir(), "state", "durabled.log")
	err := logTo(path)
	log := os.Stderr
	os.Stdout, os.Stderr = stdout, stderr
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	if _, err := log.WriteString("a line"); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "a line" {
		t.Errorf("%q, %v", b, err)
	}
}
