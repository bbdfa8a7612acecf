package socket

import (
	"testing"

	"golang.org/x/sys/windows"
)

// TestTrusted: LocalService may own the system service's pipe, and no other.
func TestTrusted(t *testing.T) {
	for _, tt := range []struct {
		name  string
		owner windows.WELL_KNOWN_SID_TYPE
		want  bool
	}{
		{systemPipe, windows.WinLocalSystemSid, true},
		{systemPipe, windows.WinBuiltinAdministratorsSid, true},
		{systemPipe, windows.WinLocalServiceSid, true},
		{`\\.\PIPE\Durable`, windows.WinLocalServiceSid, true},
		{systemPipe, windows.WinNetworkServiceSid, false},
		{systemPipe, windows.WinBuiltinUsersSid, false},
		{socketIn(`C:\Users\Anna\.durable`), windows.WinLocalSystemSid, true},
		{socketIn(`C:\Users\Anna\.durable`), windows.WinLocalServiceSid, false},
	} {
		owner, err := windows.CreateWellKnownSid(tt.owner)
		if err != nil {
			t.Fatal(err)
		}
		if got := trusted(tt.name, owner); got != tt.want {
			t.Errorf("%s of %s: %t, want %t", tt.name, owner, got, tt.want)
		}
	}
}
