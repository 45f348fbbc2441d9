//go:build realmail

package realmail

import "testing"

// Every app sends to both providers through one Melon; the account is chosen
// by the sender. What the provider stored is what the app sent, but for one
// line.
func TestRealApps(t *testing.T) {
	t.Parallel()
	pbs := startProvider(t, providerOptions{domain: "pbs.example", pbs: true, noTLS: true})
	sasl := startProvider(t, providerOptions{domain: "sasl.example", authOnlyTLS: true})
	m := startMelon(t, live, pbs.popBeforeSMTP("pbs", "taro"), sasl.authenticated("sasl", "taro", "auto"))
	wantRefused(t, direct(within(t), pbs, "127.0.0.1", "hanako@elsewhere.example"))
	wantRefused(t, direct(within(t), sasl, "127.0.0.1", "hanako@elsewhere.example"))
	t.Run("sends", func(t *testing.T) {
		for _, a := range apps {
			for name, p := range map[string]*provider{"pbs": pbs, "sasl": sasl} {
				t.Run(a.name+"/"+name, func(t *testing.T) {
					t.Parallel()
					from, to := "taro@"+p.domain, a.name+"@elsewhere.example"
					sent := a.run(t, m, from, to, name)
					wantStored(t, p.mailbox.one(t, to), from, sent)
				})
			}
		}
	})
	pbs.wantPOPLogins(t, 1, "for all messages")
	sasl.wantPOPLogins(t, 0, "where SMTP AUTH is offered")
}
