//! Programs of the MSP's own, as real processes: what they are told arrives
//! exactly, what they answer wrongly is the right fault, and whatever they do
//! with time, pipes and children of their own, nothing of them is left.

mod agreement;
mod doctor;
mod example;
mod limits;
mod powershell;
mod stage;
