mod aggressive;
mod kit;
mod main_mode;
mod mode_config;
mod refusals;
mod strangers;
mod xauth;
