package install

import (
	"encoding/xml"
	"fmt"
	"strings"

	kardianos "github.com/kardianos/service"

	"durable/ipc/socket"
)

// LogonTask returns the task of Windows' task scheduler that runs the daemon at program when the user logs in: services are the
// machine's there, and none is a user's own. conhost --headless keeps a console window from opening.
func LogonTask(program, user string, paths socket.Paths) (string, error) {
	if _, err := escapeValue(program); err != nil {
		return "", err
	}
	esc := func(s string) string {
		var b strings.Builder
		_ = xml.EscapeText(&b, []byte(s))
		return b.String()
	}
	args := fmt.Sprintf(`--headless "%s" run --lives service --log-file "%s"`, program, paths.Log)
	return strings.ReplaceAll(`<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>durable: background jobs that outlive who started them. Written by `+mark+`</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
      <UserId>`+esc(user)+`</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>`+esc(user)+`</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <AllowStartOnDemand>true</AllowStartOnDemand>
    <Enabled>true</Enabled>
    <Hidden>false</Hidden>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>7</Priority>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>999</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>%SystemRoot%\System32\conhost.exe</Command>
      <Arguments>`+esc(args)+`</Arguments>
    </Exec>
  </Actions>
</Task>
`, "\n", "\r\n"), nil
}

// windowsConfig is what the library registers with Windows' service manager: the machine's service, under an account that is no
// administrator's, restarted a second after it died, however often.
func windowsConfig(program string, paths socket.Paths) *kardianos.Config {
	return &kardianos.Config{
		Name: Name, DisplayName: "durable", Description: "Background jobs that outlive who started them",
		Executable: program, Arguments: []string{"run", "--system", "--lives", "service", "--log-file", paths.Log},
		UserName: `NT AUTHORITY\LocalService`,
		Option: kardianos.KeyValue{
			"StartType": "automatic", "OnFailure": "restart", "OnFailureDelayDuration": "1s", "OnFailureResetPeriod": 60,
		},
	}
}
