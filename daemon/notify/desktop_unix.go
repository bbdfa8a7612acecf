//go:build unix && !darwin

package notify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/godbus/dbus/v5"
)

// What the desktop's server is called on the bus.
const (
	serverName = "org.freedesktop.Notifications"
	serverPath = "/org/freedesktop/Notifications"
)

var errNoBus = errors.New("no session bus: nobody is logged in at a desktop")

// Desktop shows a note on the desktop of the user whose daemon this is. The error says why there is none.
func Desktop(ctx context.Context, note Note) error {
	address := busAddress(os.Getenv, os.Getuid())
	if address == "" {
		return errNoBus
	}
	bus, err := dbus.Connect(address, dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("session bus %s: %w", address, err)
	}
	defer func() { _ = bus.Close() }()
	server := bus.Object(serverName, serverPath)
	var can []string
	if err := server.CallWithContext(ctx, serverName+".GetCapabilities", 0).Store(&can); err != nil {
		return fmt.Errorf("ask for the desktop's capabilities: %w", err)
	}
	body := note.Body
	if slices.Contains(can, "body-markup") {
		body = escape(body)
	}
	hints := map[string]dbus.Variant{"urgency": dbus.MakeVariant(byte(1))} // normal: a critical one stays until it is clicked away
	call := server.CallWithContext(ctx, serverName+".Notify", 0,
		"durable", uint32(0), "", note.Title, body, []string{}, hints, int32(-1))
	if call.Err != nil {
		return fmt.Errorf("notify: %w", call.Err)
	}
	return nil
}

// busAddress finds the user's session bus: where the environment says, or else at its usual place, since hosts start
// programs with an environment that says nothing. Empty: there is none, and none is started.
func busAddress(getenv func(string) string, uid int) string {
	if address := getenv("DBUS_SESSION_BUS_ADDRESS"); address != "" && address != "autolaunch:" {
		return address
	}
	dir := getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = filepath.Join("/run/user", strconv.Itoa(uid))
	}
	path := filepath.Join(dir, "bus")
	if info, err := os.Stat(path); err != nil || info.Mode().Type() != os.ModeSocket {
		return ""
	}
	return "unix:path=" + dbus.EscapeBusAddressValue(path)
}
