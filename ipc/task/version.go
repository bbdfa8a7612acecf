package task

import "runtime/debug"

// version is set at release by -ldflags "-X durable/ipc/task.version=v1.2.3".
var version string

// Version returns the version of this build: the release's, else the commit's, else "devel".
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
