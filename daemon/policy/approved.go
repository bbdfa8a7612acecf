package policy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"durable/ipc/atomicfile"
	"durable/ipc/task"
)

// FileName is what the file of approvals is called in the state folder.
const FileName = "approved.json"

const (
	// maxApproved bounds what is remembered.
	maxApproved = 10_000
	// fileVersion is that of the file's format.
	fileVersion = 1
)

type approvedFile struct {
	Version  int           `json:"version"`
	Approved []task.Effect `json:"approved"`
}

// readApproved returns what was approved: nothing where there is no file, or an error.
func readApproved(path string) (map[task.Effect]bool, error) {
	approved := map[task.Effect]bool{}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return approved, nil
	case err != nil:
		return approved, err
	}
	var f approvedFile
	if err := json.Unmarshal(text, &f); err != nil {
		return approved, fmt.Errorf("%s: %w", path, err)
	}
	if f.Version != fileVersion {
		return approved, fmt.Errorf("%s: version %d, this program knows %d", path, f.Version, fileVersion)
	}
	for _, e := range f.Approved {
		approved[e] = true
	}
	return approved, nil
}

// writeApproved replaces the file, so that at any time it is the old one or the new one.
func writeApproved(path string, approved map[task.Effect]bool) error {
	text, err := json.MarshalIndent(approvedFile{Version: fileVersion, Approved: sorted(approved)}, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(path, append(text, '\n'), 0o600)
}

func sorted(approved map[task.Effect]bool) []task.Effect {
	list := make([]task.Effect, 0, len(approved))
	for e := range approved {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b task.Effect) int {
		return cmp.Or(cmp.Compare(a.Act, b.Act), cmp.Compare(a.Folder, b.Folder), cmp.Compare(a.Program, b.Program), cmp.Compare(a.Path, b.Path))
	})
	return list
}
