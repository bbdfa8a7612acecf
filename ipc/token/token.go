// Package token is the word by which a client on TCP shows that it may come in: one token in one file of the state
// folder, readable by its owner alone. The daemon compares, durablectl shows it and makes another.
//
// # Design
//
// The file is the truth and is read at each request: a new token is in force at once, and nobody has to be told. It is
// made by a link to a complete file, so that of two processes that make one at the same time both end up with
// the same. Rejected: a hash in the file (the owner could not see the token again to put it into a client's
// configuration, and whoever reads the file has the tasks anyway); a place in config.toml (people copy and publish that).
package token

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"durable/ipc/task"
)

// fileName is the file's in the state folder.
const fileName = "http-token"

// maxSize bounds what is read of a file that somebody else has written.
const maxSize = 1 << 10

// Path returns where the token of a daemon with that state folder is.
func Path(state string) string { return filepath.Join(state, fileName) }

// Load returns the token in the file at path. The error satisfies errors.Is(err, fs.ErrNotExist) where there is no file.
func Load(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", task.Errorf(task.FailedPrecondition, "token: %w", err).WithHint("durablectl token makes one")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", task.Errorf(task.Internal, "token: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return "", task.Errorf(task.FailedPrecondition, "token: others may read %s (mode %04o)", path, info.Mode().Perm()).
			WithHint("durablectl token --new makes another one: this one is known")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSize))
	if err != nil {
		return "", task.Errorf(task.Internal, "token: %w", err)
	}
	word := strings.TrimSpace(string(text))
	if word == "" {
		return "", task.Errorf(task.FailedPrecondition, "token: %s is empty", path).WithHint("durablectl token --new makes another one")
	}
	return word, nil
}

// Ensure returns the token at path, and makes one where there is no file.
func Ensure(path string) (string, error) {
	word, err := Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return word, err
	}
	err = write(path, func(made string) error {
		if err := os.Link(made, path); !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil // somebody else was quicker: his counts
	})
	if err != nil {
		return "", err
	}
	return Load(path)
}

// Renew replaces the token at path by another one. Whoever has the old one is shut out from now on.
func Renew(path string) (string, error) {
	err := write(path, func(made string) error { return os.Rename(made, path) })
	if err != nil {
		return "", err
	}
	return Load(path)
}

// write makes a file with a new token beside path, and has place put it there.
func write(path string, place func(made string) error) error {
	made, err := os.CreateTemp(filepath.Dir(path), fileName+".*") // 0600
	if err == nil {
		_, err = fmt.Fprintln(made, rand.Text())
		if err = errors.Join(err, made.Close()); err == nil {
			err = place(made.Name())
		}
		_ = os.Remove(made.Name()) // gone already where it was renamed
	}
	if err != nil {
		return task.Errorf(task.FailedPrecondition, "make token: %w", err).
			WithHint("the folder must be yours to write to; durabled run makes it")
	}
	return nil
}

// Equal compares in a time that tells nothing of either.
func Equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
