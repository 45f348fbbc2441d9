// Package smtpin is the door of Melon: the SMTP listeners that the person's
// mail app hands its mail to.
package smtpin
