package jsonedit
import ("testing";"time";"encoding/json";"bytes";"io";"slices")
func TestRatio(t *testing.T){
 doc:=tokenList(10e6); e:=compile(t,"$..token"); repl:=[]byte(`"REDACTED"`)
 f:=func(Value)([]byte,error){return repl,nil}
 resp:=tokenResponse(); e2:=compile(t,"$.access_token","$.refresh_token")
 var a,b,c []time.Duration; src:=bytes.NewReader(nil)
 for range 25 {
  t0:=time.Now(); src.Reset(doc); e.Edit(io.Discard,src,f); a=append(a,time.Since(t0))
  t0=time.Now(); json.Valid(doc); b=append(b,time.Since(t0))
  t0=time.Now(); for range 2000 {src.Reset(resp); e2.Edit(io.Discard,src,f)}; c=append(c,time.Since(t0)/2000)
 }
 slices.Sort(a);slices.Sort(b);slices.Sort(c)
 mb:=func(d time.Duration)float64{return float64(len(doc))/1e6/d.Seconds()}
 t.Logf("edit min %.0f med %.0f MB/s; valid min %.0f med %.0f; ratio min %.2f med %.2f; response min %v med %v (%d bytes)",mb(a[0]),mb(a[12]),mb(b[0]),mb(b[12]),float64(b[0])/float64(a[0]),float64(b[12])/float64(a[12]),c[0],c[12],len(resp))
}
