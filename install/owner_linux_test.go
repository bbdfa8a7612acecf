package install

import (
	"testing"

	"durable/ipc/socket"
)

// TestWayBackIsTheOwners: what root restores there could not be read by the daemon.
func TestWayBackIsTheOwners(t *testing.T) {
	for want, s := range map[string]Service{
		`DURABLE_HOME="/home/anna/a b"`:                     {paths: socket.Paths{State: "/home/anna/a b"}},
		`sudo -u durable env DURABLE_HOME=/var/lib/durable`: {paths: socket.SystemPaths(), opts: Options{System: true}},
	} {
		if got := s.owning(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
