package socket

import "path/filepath"

// MaxPath is the longest socket path, in bytes: sun_path has 104, the last one is a zero.
const MaxPath = 103

const (
	systemState = "/var/lib/durable"
	// systemGroup may use the system service.
	systemGroup = "_durable"
)

// systemSocket is a variable for tests only.
var systemSocket = "/var/run/durable/" + socketName

func stateDir(home string) string {
	return filepath.Join(home, "Library", "Application Support", "durable")
}
