package socket

import "path/filepath"

// MaxPath is the longest socket path, in bytes: sun_path has 108, the last one is a zero.
const MaxPath = 107

const (
	systemState = "/var/lib/durable"
	// systemGroup may use the system service.
	systemGroup = "durable"
)

// systemSocket is a variable for tests only.
var systemSocket = "/run/durable/" + socketName

func stateDir(home string) string { return filepath.Join(home, ".local", "state", "durable") }
