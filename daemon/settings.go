package daemon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"durable/daemon/config"
	"durable/daemon/engine"
	"durable/daemon/environ"
	"durable/daemon/job"
	"durable/daemon/policy"
	"durable/ipc/task"
)

// settings are what config.toml says, as far as it is in force.
//
// At the start a file that cannot be read does not keep the daemon away: work that was accepted goes on. But
// nobody knows then how strict the file is, so nothing is run for a program that speaks MCP, nothing that has ended
// is removed, and there are no kinds of the user's own; status says why. At a reload such a file changes nothing.
type settings struct {
	cfg    Config
	policy *policy.Policy
	env    *environ.Environment

	mu       sync.Mutex
	now      *config.Config // nil: it could not be read at the start
	warnings []string       // what is wrong with what is in force
	noDoor   string         // why nothing is served over HTTP, until the next start; empty: it is, or is not to be
	newKinds bool           // the user's own kinds are not those that were listed before
}

func newSettings(cfg Config) *settings {
	return &settings{
		cfg:    cfg,
		policy: policy.New(filepath.Join(cfg.Paths.State, policy.FileName)),
		env:    environ.New(environ.Options{Logger: cfg.Logger}),
	}
}

// start puts the configuration in force for the first time, and returns all kinds.
func (s *settings) start() []job.Kind {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, err := config.Load(s.cfg.Paths.Config)
	if err != nil {
		why, _, _ := strings.Cut(err.Error(), "\n")
		s.cfg.Logger.Error("the configuration is not in force", "error", err)
		s.policy.Distrust(why)
		s.warnings = []string{fmt.Sprintf("the configuration is not in force (%s): nothing is run for assistants, and your own kinds are missing, "+
			"until the file is corrected; then: durablectl reload", why)}
		s.env.Load(config.Environment{})
		s.list(nil)
		return s.cfg.Kinds
	}
	s.now = now
	s.policy.Load(now.Policy)
	s.env.Load(now.Environment)
	var own []job.Kind
	for _, k := range now.Kinds {
		kind, err := s.kind(k)
		if err != nil {
			s.cfg.Logger.Error("a kind of the user's own is missing", "kind", k.Name, "error", err)
			s.warnings = append(s.warnings, fmt.Sprintf("the kind %s is missing: %v; correct the configuration, then: durablectl reload", k.Name, err))
			continue
		}
		own = append(own, kind)
	}
	s.list(own)
	return slices.Concat(s.cfg.Kinds, own)
}

// reload implements engine.Config.Reload.
func (s *settings) reload(context.Context) (kinds []job.Kind, changed []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := config.Load(s.cfg.Paths.Config)
	if err != nil {
		return nil, nil, err
	}
	var own []job.Kind
	for _, k := range next.Kinds {
		kind, err := s.kind(k)
		if err != nil {
			return nil, nil, task.Errorf(task.AsError(err).Code, "%s: kinds.%s: %w", s.cfg.Paths.Config, k.Name, err).
				WithHint("%s", cmp.Or(task.AsError(err).Hint, "the old configuration stays in force"))
		}
		own = append(own, kind)
	}
	before, unknown := s.now, s.now == nil
	if unknown {
		before = new(config.Config)
	}
	for _, section := range []struct {
		name     string
		old, new any
	}{
		{"policy", before.Policy, next.Policy}, {"environment", before.Environment, next.Environment},
		{"retention", before.Retention, next.Retention}, {"notify", before.Notify, next.Notify}, {"kinds", before.Kinds, next.Kinds},
	} {
		if unknown || !reflect.DeepEqual(section.old, section.new) {
			changed = append(changed, section.name)
		}
	}
	if !reflect.DeepEqual(before.HTTP, next.HTTP) { // not in force with a configuration that could not be read
		changed = append(changed, "http (from the next start on: durablectl restart)")
	}
	s.policy.Load(next.Policy)
	s.env.Load(next.Environment) // in any case: the user's profile may have changed
	if slices.Contains(changed, "kinds") || len(s.warnings) > 0 {
		kinds = slices.Concat(s.cfg.Kinds, own)
	}
	s.now, s.warnings = next, nil
	s.list(own)
	return kinds, changed, nil
}

// tellKinds tells watchers of kinds that changed while no daemon was there: their streams go on where they were.
func (s *settings) tellKinds(ctx context.Context, eng *engine.Engine) {
	s.mu.Lock()
	news := s.newKinds
	s.mu.Unlock()
	if !news {
		return
	}
	if err := eng.TellKinds(ctx); err != nil {
		s.cfg.Logger.Warn("watchers are not told of the new kinds", "error", err)
	}
}

// kind makes a job kind of one of the user's own. Its name must be free among those that are built in.
func (s *settings) kind(k config.Kind) (job.Kind, error) {
	for _, built := range s.cfg.Kinds {
		if info := built.Describe(); k.Name == info.Name || k.Name == info.Alias {
			return nil, task.Errorf(task.InvalidArgument, "a kind of that name is built in").WithHint("give it another name")
		}
	}
	return s.cfg.Template(k)
}

// list writes down the user's own kinds, for those who want to know them while no daemon is there.
func (s *settings) list(own []job.Kind) {
	infos := []task.KindInfo{}
	for _, k := range own {
		infos = append(infos, k.Describe())
	}
	news, err := writeKinds(s.cfg.Paths.Kinds, infos)
	s.newKinds = news
	if err != nil {
		s.cfg.Logger.Warn("cannot write the list of kinds: assistants may offer old ones", "error", err)
		s.warnings = append(s.warnings, fmt.Sprintf("the list of your own kinds cannot be written, assistants may offer old ones: %v", err))
	}
}

// writeKinds replaces the file, so that whoever reads it finds the old list or the new one, and reports whether that
// says anything new.
func writeKinds(path string, infos []task.KindInfo) (news bool, err error) {
	text, err := json.MarshalIndent(map[string][]task.KindInfo{"kinds": infos}, "", "  ")
	if err != nil {
		return false, err
	}
	text = append(text, '\n')
	if before, err := os.ReadFile(path); err == nil && bytes.Equal(before, text) {
		return false, nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return true, err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return true, err
}

// http returns what the configuration says about HTTP; at a reload nothing of it comes into force.
func (s *settings) http() config.HTTP {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return config.HTTP{}
	}
	return s.now.HTTP
}

// noHTTP notes that the address in the configuration cannot be had.
func (s *settings) noHTTP(address string, err error) {
	s.cfg.Logger.Error("nothing is served over HTTP", "address", address, "error", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noDoor = fmt.Sprintf("nothing is served over HTTP at %s: %v; free the address or set another under [http], then: durablectl restart", address, err)
}

// notify is notify.Options.After.
func (s *settings) notify() (after time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return config.Notify{}.Rule()
	}
	return s.now.Notify.Rule()
}

// retention implements engine.Config.Retention.
func (s *settings) retention() engine.Retention {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return engine.Retention{}
	}
	age, bytes := s.now.Retention.Limits()
	return engine.Retention{Age: age, Bytes: bytes}
}

// warn implements engine.Config.Warnings.
func (s *settings) warn() []string {
	s.mu.Lock()
	warnings := slices.Clone(s.warnings)
	if s.noDoor != "" {
		warnings = append(warnings, s.noDoor)
	}
	s.mu.Unlock()
	return slices.Concat(warnings, s.policy.Warnings(), s.env.Warnings())
}
