package client

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"durable/ipc/socket"
)

// startByManager asks launchd for the installed agent: it has no units that come and go.
func startByManager(ctx context.Context, _ string, p socket.Paths) (*spawned, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, nil
	}
	if _, err := os.Stat(filepath.Join(home, "Library", "LaunchAgents", "durable.plist")); err != nil {
		return nil, nil
	}
	return startInstalled(ctx, p, nil, "launchctl", "kickstart", fmt.Sprintf("gui/%d/durable", os.Getuid())), nil
}
