//! A job on the screen: [`view`] turns events into lines, [`live`] draws the moving part, [`screen`] prints both,
//! [`follow`] reads the stream and comes back when it breaks.

pub mod follow;
pub mod live;
pub mod screen;
pub mod view;
