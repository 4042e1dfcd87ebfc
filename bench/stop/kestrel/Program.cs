// Kestrel as it comes: SIGTERM stops the host. Arguments: a port, or the path of a Unix socket.

using System.Globalization;
using System.Net;
using System.Text;

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.ConfigureKestrel(options =>
{
    if (int.TryParse(args[0], CultureInfo.InvariantCulture, out var port))
        options.Listen(IPAddress.Loopback, port);
    else
        options.ListenUnixSocket(args[0]);
});
var app = builder.Build();
var body = Encoding.ASCII.GetBytes("{\"message\":\"Hello, World!\"}");

static async Task Send(HttpContext context, string type, byte[] bytes)
{
    context.Response.ContentType = type;
    context.Response.ContentLength = bytes.Length;
    await context.Response.Body.WriteAsync(bytes);
}

app.MapGet("/json", (RequestDelegate)(context => Send(context, "application/json", body)));
app.MapGet("/slow", (RequestDelegate)(async context =>
{
    await Task.Delay(50);
    await Send(context, "application/json", body);
}));
app.MapPost("/body", (RequestDelegate)(async context =>
{
    using var bytes = new MemoryStream();
    await context.Request.Body.CopyToAsync(bytes);
    var length = bytes.Length.ToString(CultureInfo.InvariantCulture);
    await Send(context, "text/plain", Encoding.ASCII.GetBytes(length));
}));
app.Lifetime.ApplicationStarted.Register(() => Console.WriteLine("ready"));
app.Run();
