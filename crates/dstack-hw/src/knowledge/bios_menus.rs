//! What firmware settings are called, by vendor: menu and Redfish attribute.
