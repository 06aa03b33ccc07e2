//! Two speakers with a network between them that cuts, delays and breaks, on virtual time; and a
//! speaker with a router that means it ill.

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod world;
