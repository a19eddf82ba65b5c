//! Dated tables: what is known about CPUs, TDX modules, kernels, firmware menus and error codes, and since when.

pub mod bios_menus;
pub mod cpu_models;
pub mod error_codes;
pub mod gpus;
pub mod kernels;
pub mod qemu;
pub mod tdx_modules;
