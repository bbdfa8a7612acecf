package main

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/cmd/durablectl/internal/setup"
	"durable/install"
	"durable/install/hosts"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// setupFlags are the answers that were given on the command line; empty: not given.
type setupFlags struct {
	service, policy, firstTask string
	hosts                      []string
	yes                        bool
}

// The words of the steps' answers besides names.
const (
	answerNone = "none"
	answerAll  = "all"
	answerYes  = "yes"
	answerNo   = "no"
	ofUser     = "user"
	ofSystem   = "system"
)

func newSetup(c *cli) *cobra.Command {
	var f setupFlags
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Set durable up: service, hosts, policy, a first task",
		Long: `Set durable up, step by step: the service that starts at boot (durablectl service install), the programs of
assistants (durablectl mcp add), what assistants may run (durablectl policy), and a first task. What is not
answered by a flag is asked on the terminal; --yes takes the usual answer: your own service, all hosts, the policy
as it is, a first task. A step that fails does not keep the next from being made.

With ACCESSIBLE set in the environment, the questions come line by line.`,
		Example: `  durablectl setup
  durablectl setup --service none --hosts all --policy ask --first-task yes --yes`,
		Args: atMost(0),
		RunE: do(func(ctx context.Context, _ []string) error { return c.setup(ctx, f) }),
	}
	cmd.Flags().StringVar(&f.service, "service", "", "`WHICH` service: user, system or none")
	cmd.Flags().StringSliceVar(&f.hosts, "hosts", nil, "`NAMES` of the hosts, with commas between them, or all, or none")
	cmd.Flags().StringVar(&f.policy, "policy", "", "`WORD` of the policy: ask, allow, list or deny")
	cmd.Flags().StringVar(&f.firstTask, "first-task", "", "run one: yes or no")
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "ask nothing")
	offer(cmd, "service", ofUser, ofSystem, answerNone)
	offer(cmd, "policy", policyWords...)
	offer(cmd, "first-task", answerYes, answerNo)
	offer(cmd, "hosts", answerAll, answerNone)
	cmd.Annotations = map[string]string{bringsWork: ""}
	return cmd
}

func (f setupFlags) check() error {
	for _, w := range []struct {
		flag, word string
		words      []string
	}{
		{"service", f.service, []string{ofUser, ofSystem, answerNone}},
		{"policy", f.policy, policyWords},
		{"first-task", f.firstTask, []string{answerYes, answerNo}},
	} {
		if w.word != "" && !slices.Contains(w.words, w.word) {
			return usage("--%s %s: want one of %s", w.flag, w.word, strings.Join(w.words, ", "))
		}
	}
	return nil
}

// open are the flags that were not given.
func (f setupFlags) open() []string {
	var open []string
	for _, w := range []struct {
		flag  string
		given bool
	}{
		{"--service", f.service != ""}, {"--hosts", len(f.hosts) > 0}, {"--policy", f.policy != ""}, {"--first-task", f.firstTask != ""},
	} {
		if !w.given {
			open = append(open, w.flag)
		}
	}
	return open
}

func (c *cli) setup(ctx context.Context, f setupFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	if id := os.Getenv(envTask); id != "" {
		return task.Errorf(task.FailedPrecondition, "setup: this runs inside task %s", id).WithHint("do it in a terminal of your own")
	}
	s, err := c.hostSystem()
	if err != nil {
		return err
	}
	there, err := installed(s, hosts.User)
	if err != nil && !isNotFound(err) {
		return err
	}
	a := suggested(ctx, f, there)
	if open := f.open(); len(open) > 0 && !f.yes {
		if !c.terminal() || c.json {
			return task.Errorf(task.FailedPrecondition, "setup: nobody can be asked: the input is not a terminal").
				WithHint("answer with %s; or --yes takes the usual answers", strings.Join(open, ", "))
		}
		if err := setup.Ask(ctx, c.questions(f, there), &a); err != nil {
			return err
		}
	}
	return c.perform(ctx, f, a)
}

func isNotFound(err error) bool { return task.AsError(err).Code == task.NotFound }

// suggested are the given answers, and the usual ones where none was given.
func suggested(ctx context.Context, f setupFlags, there []hosts.Host) setup.Answers {
	a := setup.Answers{Service: f.service, Hosts: f.hosts, Policy: f.policy, FirstTask: f.firstTask != answerNo}
	if a.Service == "" {
		a.Service = usualService(ctx)
	}
	switch {
	case len(f.hosts) == 0 || slices.Equal(f.hosts, []string{answerAll}):
		a.Hosts = nil
		for _, h := range there {
			a.Hosts = append(a.Hosts, h.Name)
		}
	case slices.Equal(f.hosts, []string{answerNone}):
		a.Hosts = nil
	}
	return a
}

// usualService is the one that suits whoever asks: none where there can be none.
func usualService(ctx context.Context) string {
	if os.Getenv(socket.EnvHome) != "" {
		return answerNone
	}
	which := ofUser
	if os.Geteuid() == 0 {
		which = ofSystem
	}
	if st, err := statusOf(ctx, which == ofSystem); err != nil || st.Manager == "" {
		return answerNone
	}
	return which
}

func (c *cli) questions(f setupFlags, there []hosts.Host) setup.Questions {
	q := setup.Questions{FirstTask: f.firstTask == "", Plain: os.Getenv("ACCESSIBLE") != "", In: c.in, Out: c.err}
	if f.service == "" {
		q.Service = []setup.Choice{
			{Value: ofUser, Label: "yes, for me: it starts at boot"}, {Value: ofSystem, Label: "yes, for this machine (as root)"},
			{Value: answerNone, Label: "no: the first task starts it, until a reboot"},
		}
	}
	if len(f.hosts) == 0 {
		for _, h := range there {
			q.Hosts = append(q.Hosts, setup.Choice{Value: h.Name, Label: h.Title})
		}
	}
	if f.policy == "" {
		q.Policy = []setup.Choice{{Value: "", Label: "leave it as it is"}}
		for _, word := range []string{"ask", "allow", "list", "deny"} {
			q.Policy = append(q.Policy, setup.Choice{Value: word, Label: word + ": " + policies[word]})
		}
	}
	return q
}

// perform takes the steps. The errors of all but the last that failed are reported at once.
func (c *cli) perform(ctx context.Context, f setupFlags, a setup.Answers) error {
	steps := []struct {
		title string
		wants bool
		run   func() error
	}{
		{"Service", a.Service != answerNone, func() error { return c.setupService(ctx, a.Service == ofSystem) }},
		{"Hosts", len(a.Hosts) > 0, func() error {
			interactive := len(f.open()) > 0 && !f.yes
			return c.mcpWrite(ctx, hostFlags{scope: string(hosts.User)}, writeFlags{yes: !interactive, chosen: true}, a.Hosts, true)
		}},
		{"Policy", a.Policy != "", func() error { return c.setupPolicy(ctx, a.Policy) }},
		{"First task", a.FirstTask, func() error { return c.firstTask(ctx) }},
	}
	var last error
	for _, step := range steps {
		if !step.wants {
			continue
		}
		c.note("%s", c.errScreen.Paint(render.Bold, step.title))
		err := step.run()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			continue
		}
		if last != nil {
			c.report(task.AsError(last))
		}
		last = err
	}
	c.note("%s", c.errScreen.Paint(render.Bold, "Next"))
	if line := onPath(a.Service == ofSystem); line != "" {
		c.note("%s   # this shell does not find durablectl yet", line)
	}
	c.note("durablectl doctor looks whether all is well; durablectl status shows what runs")
	return last
}

func (c *cli) setupService(ctx context.Context, system bool) error {
	s, err := c.service(&install.Options{System: system})
	if err != nil {
		return err
	}
	res, err := s.Install(ctx)
	if err != nil {
		return err
	}
	return c.print(res, func(s render.Screen) string { return s.Installed(res) })
}

// setupPolicy leaves a policy alone that is so already. To change it is a person's decision.
func (c *cli) setupPolicy(ctx context.Context, word string) error {
	file, err := c.configFile(ctx)
	if err != nil {
		return err
	}
	text, err := readConfig(file)
	if err != nil {
		return err
	}
	now, err := policyOf(text)
	if err != nil {
		return task.Errorf(task.FailedPrecondition, "%s: %w", file, err)
	}
	if now == word || now == "" && word == "ask" {
		c.note("%s: %s", word, policies[word])
		return nil
	}
	if err := c.person("policy"); err != nil {
		return err
	}
	return c.setPolicy(ctx, file, word)
}

// firstTask runs a program that is there on every machine, and shows what it has printed.
func (c *cli) firstTask(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return task.Errorf(task.Internal, "%w", err)
	}
	params, err := (command{}).params([]string{self, "version"})
	if err != nil {
		return err
	}
	spec, err := submission{title: "first task"}.spec("command", params)
	if err != nil {
		return err
	}
	t, err := c.svc.Submit(ctx, spec, "")
	if err != nil {
		return err
	}
	if t, err = c.waitOne(ctx, t); err != nil {
		return err
	}
	if c.json {
		return c.encode(t)
	}
	c.note("task %d has %s; it printed:", t.Number, t.Status)
	if err := c.logs(ctx, t.ID.Ref(), logQuery{}); err != nil {
		return err
	}
	return verdict(t)
}
