//! Departures as observability tools see them: the real binary before the
//! simulated vendor, and collectors on loopback.

mod collector;
mod stories;
mod unheard;
mod watched;
