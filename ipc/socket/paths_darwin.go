package socket

import "path/filepath"

// MaxPath is the longest socket path, in bytes: sun_path has 104, the last one is a zero.
const MaxPath = 103

const (
	systemState = "/var/lib/durable"
	// systemGroup may use the system service.
	systemGroup = "_durable"
)

// systemSocket is not in /var/run, which is emptied at boot, when nobody is there to make a folder for the service's user anew; nor in the
// state folder, which is closed to those who may only connect. It is a variable for tests only.
var systemSocket = "/var/lib/durable-run/" + socketName

func stateDir(home string) string {
	return filepath.Join(home, "Library", "Application Support", "durable")
}
