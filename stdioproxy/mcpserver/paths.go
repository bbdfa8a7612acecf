package mcpserver

import (
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"durable/ipc/task"
)

// schemeRE: what begins like this is a URL.
var schemeRE = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]+://`)

func isURL(p string) bool { return schemeRE.MatchString(p) }

// resolvePath makes the path in argument name absolute; URLs stay as they are. The daemon's own folder
// is never used: it has nothing to do with what the user means.
func (s *Server) resolvePath(name, p string) (string, error) {
	if isURL(p) {
		return p, nil
	}
	rest, tilde := strings.CutPrefix(p, "~")
	switch {
	case tilde && (rest == "" || rest[0] == '/' || rest[0] == filepath.Separator):
		if s.opts.Home == "" {
			return "", noBase(name, p)
		}
		return filepath.Join(s.opts.Home, rest), nil
	case filepath.IsAbs(p):
		return filepath.Clean(p), nil
	case s.opts.Base == "":
		return "", noBase(name, p)
	}
	return filepath.Join(s.opts.Base, p), nil
}

func noBase(name, p string) error {
	return task.Errorf(task.InvalidArgument, "%s: %.200q is relative, and this host has no folder that it could be taken from", name, p).
		WithHint("give an absolute path")
}

// redact hides the password of a URL: what is logged and shown never holds one.
func redact(p string) string {
	if !isURL(p) {
		return p
	}
	u, err := url.Parse(p)
	if err != nil {
		return schemeRE.FindString(p) + "(not a valid URL)"
	}
	if q := u.Query(); q.Has("password") {
		q.Set("password", "xxxxx")
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}
