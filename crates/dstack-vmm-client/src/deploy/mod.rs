//! Deployments: a project file, the plan it makes against what runs, and the carrying out.
