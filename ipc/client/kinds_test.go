package client_test

import (
	"os"
	"testing"

	"durable/ipc/client"
	"durable/ipc/socket"
)

// TestListedKinds: the list is read without a daemon, and whatever lies there breaks nothing.
func TestListedKinds(t *testing.T) {
	home := t.TempDir()
	t.Setenv(socket.EnvHome, home)
	t.Setenv(socket.EnvSocket, "")
	for content, want := range map[string]int{
		"":                               0,
		`{"kinds":[{"name":"nightly"}]}`: 1,
		`[{"name":"a"},{"name":"b"}]`:    2,
		`{"kinds":[{"na`:                 0,
		`7`:                              0,
	} {
		if err := os.WriteFile(socket.In(home).Kinds, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := client.ListedKinds(""); len(got) != want {
			t.Errorf("%q: %d kinds, want %d", content, len(got), want)
		}
	}
	if err := os.Remove(socket.In(home).Kinds); err != nil {
		t.Fatal(err)
	}
	if got := client.ListedKinds(""); got != nil {
		t.Errorf("without a file: %v", got)
	}
}
