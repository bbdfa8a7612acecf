package migration

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"durable/ipc/task"
)

// passwords are what is kept apart from the parameters.
type passwords struct {
	Source      string `json:"source_password,omitempty"`
	Destination string `json:"destination_password,omitempty"`
}

// maskedPassword stands in the parameters for a password that is kept apart.
const maskedPassword = "***"

// hidePasswords takes passwords out of URLs and parameters. What only names one, env:NAME or file:PATH, stays: it is no
// secret, and a retry finds the password by it again.
func (p *params) hidePasswords() error {
	for _, side := range []struct {
		name     string
		place    *string
		password *string
		secret   *string
	}{
		{"source", &p.Source, &p.SourcePassword, &p.secret.Source},
		{"destination", &p.Destination, &p.DestinationPassword, &p.secret.Destination},
	} {
		if !isPostgres(*side.place) {
			if *side.password != "" {
				return task.Errorf(task.InvalidArgument, "%s_password: %s_path is no database URL", side.name, side.name)
			}
			continue
		}
		place, inURL, err := splitPassword(side.name+"_path", *side.place)
		if err != nil {
			return err
		}
		*side.place = place
		if inURL != "" && *side.password != "" && *side.password != maskedPassword {
			return task.Errorf(task.InvalidArgument, "%s_password: there is a password in the URL too", side.name).WithHint("give one of them")
		}
		if inURL != "" {
			*side.password = inURL
		}
		if *side.password == "" || *side.password == maskedPassword {
			continue
		}
		if isReference(*side.password) {
			if _, err := resolvePassword(side.name+"_password", *side.password, ""); err != nil {
				return err
			}
			continue
		}
		*side.secret, *side.password = *side.password, maskedPassword
	}
	return nil
}

func isReference(s string) bool { return strings.HasPrefix(s, "env:") || strings.HasPrefix(s, "file:") }

// splitPassword returns a URL without its password, and the password. No error repeats the URL.
func splitPassword(name, place string) (string, string, error) {
	u, err := url.Parse(place)
	if err != nil {
		return "", "", task.Errorf(task.InvalidArgument, "%s: not a valid URL", name).
			WithHint("it looks like postgres://user@host:5432/database; special characters in it are %%-encoded, or give the password as %s",
				strings.Replace(name, "_path", "_password", 1))
	}
	password, _ := u.User.Password()
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	query := u.Query()
	if query.Has("sslpassword") {
		return "", "", task.Errorf(task.InvalidArgument, "%s: sslpassword is not supported", name).WithHint("use a key file without a password")
	}
	if query.Has("password") {
		password = query.Get("password")
		query.Del("password")
		u.RawQuery = query.Encode()
	}
	return u.String(), password, nil
}

// resolvePassword returns the password that a parameter stands for; "": the driver looks into PGPASSFILE or ~/.pgpass.
func resolvePassword(name, given, secret string) (string, error) {
	if ref, ok := strings.CutPrefix(given, "env:"); ok {
		value, there := os.LookupEnv(ref)
		if !there {
			return "", task.Errorf(task.FailedPrecondition, "%s: the daemon's environment has no %s", name, ref).
				WithHint("set it where durabled is started, or use file:PATH")
		}
		return value, nil
	}
	if path, ok := strings.CutPrefix(given, "file:"); ok {
		if !filepath.IsAbs(path) {
			return "", task.Errorf(task.InvalidArgument, "%s: file:%s is a relative path", name, path).WithHint("give an absolute path")
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return "", fileError(err, name, path)
		}
		return strings.TrimRight(string(content), "\r\n"), nil
	}
	if given == maskedPassword && secret == "" {
		return "", task.Errorf(task.FailedPrecondition, "%s: it was kept only until the task's end", name).
			WithHint("give it again: durablectl retry TASK --env %s=..., or start a new task", name)
	}
	return secret, nil
}

func (p *params) connectSource(ctx context.Context) (*pgConn, error) {
	password, err := resolvePassword("source_password", p.SourcePassword, p.secret.Source)
	if err != nil {
		return nil, err
	}
	return connectPostgres(ctx, "source", p.Source, password)
}

func (p *params) connectDestination(ctx context.Context) (*pgConn, error) {
	password, err := resolvePassword("destination_password", p.DestinationPassword, p.secret.Destination)
	if err != nil {
		return nil, err
	}
	return connectPostgres(ctx, "destination", p.Destination, password)
}

func errNoSecret(name string) error {
	_, err := resolvePassword(name, maskedPassword, "")
	return err
}

// withSecrets are the parameters as a caller would give them.
func (p *params) withSecrets() params {
	q := *p
	if q.SourcePassword == maskedPassword {
		q.SourcePassword = p.secret.Source
	}
	if q.DestinationPassword == maskedPassword {
		q.DestinationPassword = p.secret.Destination
	}
	return q
}

// cleanPostgres removes the position. After a crash between the end and here, a password that was given literally is
// gone: then the row stays, which harms nobody.
func (p *params) cleanPostgres(ctx context.Context, root task.ID) error {
	if p.DestinationPassword == maskedPassword && p.secret.Destination == "" {
		return nil
	}
	conn, err := p.connectDestination(ctx)
	if err != nil {
		return err
	}
	defer conn.close()
	name, err := conn.resolve(ctx, p.DestinationTable)
	if err != nil {
		return err
	}
	return removePGPosition(ctx, conn, name.schema, root)
}
