package main

// protectProcess has nothing to do: files in the user's profile have its access
// list, and a crash leaves no dump unless an administrator asked for one.
func protectProcess() error { return nil }

// closeToOthers trusts the access list of the user's profile.
func closeToOthers(string) error { return nil }
