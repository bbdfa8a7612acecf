package install

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"

	"durable/ipc/task"
)

// TestFolder wants an administrator. wine keeps an access list as a file's mode, and whoever runs it owns all: then he is one of ours
// here, but for the time that it takes to be refused.
func TestFolder(t *testing.T) {
	above, err := os.MkdirTemp("", "durable")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(above) }) // wine cannot
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		t.Fatal(err)
	}
	self := user.User.Sid.String()

	made := filepath.Join(above, "made")
	if err := makeFolder(made); err != nil {
		t.Fatal(err)
	}
	onlyOurs(t, made, self)

	open := filepath.Join(above, "open")
	toAll(t, open)
	deep := filepath.Join(open, strings.Repeat("long", 40), strings.Repeat("name", 40))
	if err := os.MkdirAll(deep, 0o777); err != nil {
		t.Fatal(err)
	}
	paths := []string{open, filepath.Join(open, "config.toml"), deep, filepath.Join(deep, "log")}
	for _, file := range []string{paths[1], paths[3]} {
		if err := os.WriteFile(file, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if others(t, open, self) == nil {
		t.Error("nor was it open before, so this shows nothing")
	}
	before := folderOwners
	folderOwners = []string{"S-1-5-18"}
	if err := makeFolder(open); !errors.Is(err, task.PermissionDenied) || !strings.Contains(task.AsError(err).Hint, "takeown") {
		t.Errorf("another user's folder: %v", err)
	}
	folderOwners = append(slices.Clone(before), self)
	defer func() { folderOwners = before }()
	for range 2 {
		if err := makeFolder(open); err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			onlyOurs(t, path, self)
		}
	}
	if err := makeFolder(paths[1]); !errors.Is(err, task.FailedPrecondition) {
		t.Errorf("a file in its place: %v", err)
	}
}

// toAll makes a folder that all may do anything in.
func toAll(t *testing.T, path string) {
	t.Helper()
	all, err := windows.SecurityDescriptorFromString("D:P(A;OICI;FA;;;WD)")
	if err != nil {
		t.Fatal(err)
	}
	name, err := windows.UTF16PtrFromString(path)
	if err == nil {
		err = windows.CreateDirectory(name, &windows.SecurityAttributes{Length: uint32(unsafe.Sizeof(windows.SecurityAttributes{})), SecurityDescriptor: all})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func onlyOurs(t *testing.T, path, self string) {
	t.Helper()
	if who := others(t, path, self); who != nil {
		t.Errorf("%s is open to %q", path, who)
	}
}

// others are the accounts that the list of path lets in, besides ours and self.
func others(t *testing.T, path, self string) (who []string) {
	t.Helper()
	name := `\\?\` + path
	sd, err := windows.GetNamedSecurityInfo(name, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range strings.Split(sd.String(), "(")[1:] {
		account := entry[strings.LastIndexByte(entry, ';')+1 : strings.IndexByte(entry, ')')]
		if !slices.Contains([]string{"SY", "BA", "LS", self}, account) {
			who = append(who, account)
		}
	}
	return who
}
